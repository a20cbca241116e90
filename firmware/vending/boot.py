"""From the settings to a device that runs. An exception that gets out of it restarts the board, motors off first."""

import time

from . import SettingsError
from .borrowed import borrow, give_back
from .flash import Flash
from .log import alarm, warn

BOOT_ONLY = ("trial", "exchange", "settings_file", "signed", "settings", "checks", "wiring", "pins")
BOOT_ONLY += ("drivers", "board", "hardware")
"""Modules that nobody needs once the board is put together. What is imported is in RAM: all that they are is 24 kB."""
LAST_ERROR = "last_error"
EXPECTED = ("power_on", "software", "deep_sleep")
"""Causes of a reset that need no word in the log."""
BOARD_RETRY_S = 5
TRIAL_TRIES = 12
"""A board that is silent for a minute has not got the settings that it needs."""


def start() -> None:
    """For ever, or until a hand at the serial line ends it. A board without usable settings asks for others."""
    flash = Flash(".")
    made = make_device(flash)
    if made is None:
        return
    device, board, run_safely = made
    # Ctrl-C is no Exception: it ends here with the motors off, and gives whoever is at the serial line its prompt.
    try:
        run_safely(device.run(), board)
    except Exception as error:
        alarm("device_failed", error=repr(error))
        remember(flash, repr(error))
        board.restart()
        raise


def make_device(flash: Flash) -> "tuple | None":
    """The device, its board and what runs them; None once a board without usable settings has asked for others.

    Whatever goes wrong with settings on trial, the board goes back to the old ones and boots again.
    """
    tell_last_error(flash)
    offered = borrow("trial").choose(flash) if flash.has("settings.trial") else None
    try:
        wired = borrow("settings_file").load(flash, offered)
        # Not before: a board that asks for settings needs the room.
        from .app import Device, run_safely

        board = make_board(wired, offered is not None)
        if board.reset_cause() not in EXPECTED:
            warn("reset", cause=board.reset_cause())
        give_back(*BOOT_ONLY)
        device = Device(wired, board, flash, on_trial=offered is not None)
    except Exception as error:
        if offered is not None:
            borrow("trial").revert(flash, str(error) or repr(error))
            borrow("board").restart()
            return None
        if not isinstance(error, SettingsError):
            raise
        alarm("settings_refused", reason=str(error))
        borrow("setup_board").run(flash, str(error))
        return None
    return device, board, run_safely


def remember(flash: Flash, error: str) -> None:
    """What ends this boot, for the next one to tell: the log is gone with the RAM."""
    try:
        flash.replace(LAST_ERROR, error.encode())
    except OSError:
        alarm("error_not_kept")


def tell_last_error(flash: Flash) -> None:
    """Once."""
    if flash.has(LAST_ERROR):
        alarm("device_had_failed", error=str(flash.read(LAST_ERROR), "utf-8"))
        flash.remove(LAST_ERROR)


def make_board(wired, on_trial: bool):
    """The board of these settings; what is silent on its bus is asked again. Raises SettingsError."""
    tries = 0
    while True:
        try:
            return borrow("board").assemble(wired)
        except OSError as error:
            alarm("board_unavailable", error=str(error))
            tries += 1
            if on_trial and tries == TRIAL_TRIES:
                raise SettingsError("the board is silent: " + str(error)) from None
            time.sleep(BOARD_RETRY_S)
