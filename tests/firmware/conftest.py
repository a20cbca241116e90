"""The firmware under test finds what MicroPython has and CPython lacks."""

from firmware.simulator.micropython import add_missing_calls

add_missing_calls()
