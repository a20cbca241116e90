"""What only boot does: from the settings to a device. It tells what the last one died of, and waits for the board."""

import time

from . import SettingsError, const
from .borrowed import borrow, give_back
from .flash import Flash
from .log import alarm, warn

BOARD_ONLY = ("trial", "exchange", "greeting", "settings_file", "signed", "settings", "checks", "wiring", "pins")
BOARD_ONLY += ("drivers", "board", "hardware")
"""Modules that nobody needs once the board is put together. What is imported is in RAM: all that they are is 24 kB."""
_EXPECTED = const(("power_on", "software", "deep_sleep"))
"""Causes of a reset that need no word in the log."""
BOARD_RETRY_S = 5
TRIAL_TRIES = 12
"""A board that is silent for a minute has not got the settings, or the program, that it needs."""


def make_device(flash: Flash, last_error: str) -> "tuple | None":
    """The device and its board; None once a board without usable settings has asked for others.

    Whatever goes wrong with settings on trial, the board goes back to the old ones and boots again.
    """
    tell_last_error(flash, last_error)
    offered = borrow("trial").choose(flash) if flash.has("settings.trial") else None
    try:
        wired = borrow("settings_file").load(flash, offered)
        # Not before: a board that asks for settings needs the room.
        app = borrow("app")
        board = make_board(wired, flash, offered is not None)
        if board.reset_cause() not in _EXPECTED:
            warn("reset", cause=board.reset_cause())
        context = borrow("sockets").site_context(wired.ca_der)
        wired = borrow("settings").running(wired)
        give_back(*BOARD_ONLY)
        device = app.Device(wired, board, flash, context, on_trial=offered is not None)
    except Exception as error:
        if offered is not None:
            borrow("trial").revert(flash, str(error) or repr(error))
            borrow("board").restart()
            return None
        if not isinstance(error, SettingsError):
            raise
        alarm("settings_refused", reason=str(error))
        if is_release_due(flash):
            # It may be the release that does not understand them: its tries take the board back to what did.
            borrow("board").restart()
            return None
        borrow("setup_board").run(flash, str(error))
        return None
    return device, board


def tell_last_error(flash: Flash, name: str) -> None:
    """Once, whatever the file `name` holds."""
    if flash.has(name):
        kept = flash.read(name)
        flash.remove(name)
        try:
            error = str(kept, "utf-8")
        except ValueError:
            error = repr(kept)
        alarm("device_had_failed", error=error)


def make_board(wired, flash: Flash, on_trial: bool, find=borrow, retry_s: int = BOARD_RETRY_S):
    """The board of these settings; what is silent on its bus is asked again.

    Raises SettingsError if it stays so and they are on trial. If a release is, the board boots again. `find` gives
    the modules that it needs by name.
    """
    tries = 0
    while True:
        try:
            return find("board").assemble(wired)
        except OSError as error:
            alarm("board_unavailable", error=str(error))
            tries += 1
            if tries == TRIAL_TRIES:
                if on_trial:
                    raise SettingsError("the board is silent: " + str(error)) from None
                if is_release_due(flash, find):
                    find("board").restart()
            time.sleep(retry_s)


def is_release_due(flash: Flash, find=borrow) -> bool:
    """Whether a program or an image has yet to prove itself: then a boot that leads nowhere has to end."""
    try:
        return find("standing").is_due(flash)
    except OSError:
        # As without a marker.
        return False
    finally:
        give_back("standing", "slots")
