"""From the settings to a device that runs. An exception that gets out of it restarts the board, motors off first."""

import time

from . import SettingsError
from .borrowed import borrow, give_back
from .flash import Flash
from .log import alarm

BOOT_ONLY = ("settings_file", "signed", "settings", "checks", "wiring", "pins", "drivers", "board")
"""Modules that nobody needs once the board is put together. What is imported is in RAM: all that they are is 24 kB."""
BOARD_RETRY_S = 5


def start() -> None:
    """For ever, or until a hand at the serial line ends it. A board without usable settings asks for others."""
    flash = Flash(".")
    try:
        wired = borrow("settings_file").load(flash)
        # Not before: a board that asks for settings needs the room.
        from .app import Device, run_safely

        board = make_board(wired)
        give_back(*BOOT_ONLY)
        device = Device(wired, board, flash)
    except SettingsError as error:
        alarm("settings_refused", reason=str(error))
        borrow("setup_board").run(flash, str(error))
        return
    # Ctrl-C is no Exception: it ends here with the motors off, and gives whoever is at the serial line its prompt.
    try:
        run_safely(device.run(), board)
    except Exception as error:
        alarm("device_failed", error=repr(error))
        board.restart()
        raise


def make_board(wired):
    """The board of these settings; what is silent on its bus is asked again. Raises SettingsError."""
    while True:
        try:
            return borrow("board").assemble(wired)
        except OSError as error:
            alarm("board_unavailable", error=str(error))
            time.sleep(BOARD_RETRY_S)
