"""From the settings to a device that runs. An exception that gets out of it restarts the board, motors off first."""

from . import SettingsError
from .borrowed import borrow, give_back
from .flash import Flash
from .log import alarm, warn

BOOT_ONLY = ("trial", "exchange", "settings_file", "signed", "settings", "checks", "wiring", "pins")
BOOT_ONLY += ("drivers", "board", "hardware", "waking")
"""Modules that nobody needs once the board is put together. What is imported is in RAM: all that they are is 24 kB."""
LAST_ERROR = "last_error"
EXPECTED = ("power_on", "software", "deep_sleep")
"""Causes of a reset that need no word in the log."""


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
    borrow("waking").tell_last_error(flash, LAST_ERROR)
    offered = borrow("trial").choose(flash) if flash.has("settings.trial") else None
    try:
        wired = borrow("settings_file").load(flash, offered)
        # Not before: a board that asks for settings needs the room.
        from .app import Device, run_safely

        board = borrow("waking").make_board(wired, flash, offered is not None)
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
        if borrow("waking").is_release_due(flash):
            # It may be the release that does not understand them: its tries take the board back to what did.
            borrow("board").restart()
            return None
        borrow("setup_board").run(flash, str(error))
        return None
    return device, board, run_safely


def remember(flash: Flash, error: str) -> None:
    """What ends this boot, for the next one to tell: the log is gone with the RAM."""
    try:
        flash.replace(LAST_ERROR, error.encode())
    except OSError:
        alarm("error_not_kept")
