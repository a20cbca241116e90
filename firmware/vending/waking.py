"""What only boot does: tells what the last one died of, and waits for the board's parts to answer."""

import time

from . import SettingsError
from .borrowed import borrow, give_back
from .flash import Flash
from .log import alarm

BOARD_RETRY_S = 5
TRIAL_TRIES = 12
"""A board that is silent for a minute has not got the settings, or the program, that it needs."""


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
