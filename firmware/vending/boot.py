"""From the settings to a device that runs. An exception that gets out of it restarts the board, motors off first."""

import time

from .app import Device, run_safely
from .borrowed import borrow, give_back
from .cabinet import Cabinet
from .flash import Flash
from .log import alarm
from .settings import Settings

BOOT_ONLY = ("settings", "checks", "wiring", "pins", "drivers", "board")
"""Modules that nobody needs once the board is put together. What is imported is in RAM: all that they are is 24 kB."""
BOARD_RETRY_S = 5


def start() -> None:
    """For ever, or until a hand at the serial line ends it. Raises SettingsError."""
    flash = Flash(".")
    wired = read_settings(flash)
    board = make_board(wired)
    give_back(*BOOT_ONLY)
    device = Device(wired, board, flash)
    # Ctrl-C is no Exception: it ends here with the motors off, and gives whoever is at the serial line its prompt.
    try:
        run_safely(device.run(), board)
    except Exception as error:
        alarm("device_failed", error=repr(error))
        board.restart()
        raise


def make_board(wired: Settings) -> Cabinet:
    """The board of these settings; what is silent on its bus is asked again. Raises SettingsError."""
    while True:
        try:
            return borrow("board").assemble(wired)
        except OSError as error:
            alarm("board_unavailable", error=str(error))
            time.sleep(BOARD_RETRY_S)


def read_settings(flash: Flash) -> Settings:
    """The device's settings. Raises SettingsError."""
    return borrow("settings").parse(flash.read("settings.json"))
