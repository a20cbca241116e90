"""The software of a Larder device. Written for MicroPython on the ESP32; the simulator runs the same files."""

VERSION = "0.1.0"

TYPE_CHECKING = False
"""True for type checkers alone: what is imported for them is not in RAM."""


def const(value):
    """`_NAME = const(…)` takes no RAM: mpy-cross puts the value itself wherever the name is used."""
    return value


class SettingsError(Exception):
    """The settings cannot be used; the text names the setting. Here, for what reads them is forgotten after."""
