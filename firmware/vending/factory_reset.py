"""The device forgets its settings, its credentials and its gateway. It never forgets money and vends.

The journal stays: what is not acknowledged yet is told to the next gateway, and a vend's number is never taken twice.
So do whom the board trusts, its label, and a zone that is locked: a button does not make food good.
"""

from .borrowed import borrow
from .flash import Flash
from .log import alarm, log

FORGOTTEN = (
    "gateway.json",
    "credentials.json",
    "settings.verified",
    "settings.trial",
    "settings.next",
    "settings.json",
)
"""The settings last: a reset that a power cut ends early leaves a device that does not ask for any, and so shows."""


async def perform(parts) -> bool:
    """Forget, and restart the board, once no vend is open and all money is on flash; whether that cannot be done.

    Returns in tests, and when it cannot be done.
    """
    parts.errands.held += 1
    try:
        reason = await borrow("restart").come_to_rest(parts)
        if reason is None:
            reason = forget(parts.flash)
        if reason is None:
            state = parts.journal.state
            log("factory_reset", unacknowledged_vends=len(state.vends), unacknowledged_credits=len(state.credits))
            parts.board.restart()
        else:
            alarm("factory_reset_failed", reason=reason)
    finally:
        parts.errands.held -= 1
    return reason is not None


def forget(flash: Flash) -> "str | None":
    """Why that failed; None if nothing of it is left."""
    try:
        for name in FORGOTTEN:
            flash.remove(name)
    except OSError as error:
        return str(error)
    return None
