"""Boot again, when nobody loses anything by it: no vend is open, and all money that was taken is on flash."""

import asyncio

from . import requests, rules
from .journal import MAX_CREDITS
from .log import log

SHUT_MS = 2_000
"""A coin that was on its way when the acceptor was shut has fallen and been counted by then."""
TELL_MS = 1_000
"""So long the answer has to be sent."""
LOOK_S = 0.05


async def perform(parts, fields: dict) -> None:
    """The errand: answered first, and on flash, so that the same request never restarts the board again."""
    if requests.is_known(parts, fields["request_id"]):
        return
    parts.errands.held += 1
    try:
        reason = await come_to_rest(parts)
        if requests.end(parts, fields["request_id"], reason) and reason is None:
            await go(parts)
    finally:
        parts.errands.held -= 1


async def come_to_rest(parts) -> "str | None":
    """None once nothing would be lost; else why that cannot be waited for. No vend may begin meanwhile (`held`)."""
    wired = parts.settings.board
    quiet_ms = max([acceptor.quiet_ms for acceptor in (wired.coin, wired.note) if acceptor is not None] + [0])
    parts.till.refuse()
    await parts.dispenser.rest()
    until = parts.clock.ms() + SHUT_MS + quiet_ms
    while parts.clock.ms() < until:
        parts.till.refuse()
        await asyncio.sleep(LOOK_S)
    journal = parts.journal
    if rules.running(journal.state) is not None:
        return "a vend is open"
    if journal.failed and (journal.state.vends or journal.state.credits):
        return "the journal cannot be written"
    return "credits wait to be acknowledged" if len(journal.state.credits) >= MAX_CREDITS else None


async def go(parts) -> None:
    """Restart the board once what was told last is sent. Returns in tests only."""
    until = parts.clock.ms() + TELL_MS
    while parts.clock.ms() < until:
        parts.till.refuse()
        await asyncio.sleep(LOOK_S)
    log("restarting")
    parts.board.restart()
