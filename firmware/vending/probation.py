"""A program or an image in its first boots: what it has to show before it may stay."""

import asyncio

from . import VERSION, rules, slots, standing, topics
from .borrowed import borrow, give_back
from .log import alarm, log, warn

LIVED_MS = 60_000
STEADY_MS = LIVED_MS // 2
"""A link that has lasted for so long has carried three heartbeats, or two."""
GIVEN_MS = 600_000
"""What has not proven itself by then boots again: another try, or back to what ran before."""
LOOK_S = 1


async def prove(parts, link, vigil) -> None:
    """Keep what is on trial once it lives: the settings were read, the board was made, no part is silent, the gateway
    was greeted and heard it, a minute has passed, and in the end the journal was written and read back."""
    while not _lives(parts, link, vigil) or not _writes(parts.journal):
        if parts.clock.ms() > GIVEN_MS:
            warn("release_not_proven")
            await _boot_again(parts)
        await asyncio.sleep(LOOK_S)
    keep(parts.flash)
    log("release_proven", version=VERSION)
    parts.reports.tell(topics.OTA, standing.report(parts))


async def _boot_again(parts) -> None:
    """Unless a vend or money would be lost by it; then it is tried again at the next look."""
    parts.errands.held += 1
    try:
        if await borrow("restart").come_to_rest(parts) is None:
            parts.board.restart()
    finally:
        parts.errands.held -= 1
        give_back("restart")


def keep(flash) -> None:
    """It stays; nothing older is taken from now on. Raises OSError."""
    root = flash.folder + "/"
    marker = slots.read(root) or slots.FIRST
    kept = slots.changed(marker, state="valid", trial=None, tries=0, image_trial=None)
    if marker["image_trial"] is not None:
        borrow("partitions").keep()
        give_back("partitions")
        kept["image"] = marker["image_trial"][1]
    else:
        slots.prove(marker["trial"], VERSION, root)
        kept["valid"] = marker["trial"]
        kept["floor"] = max(marker["floor"], VERSION, key=slots.order_of)
    slots.write(kept, root)


def _lives(parts, link, vigil) -> bool:
    now = parts.clock.ms()
    lived = now >= LIVED_MS and not vigil.silent()
    # A gateway that does not understand what this program says lets it log in, and hangs up at its next heartbeat.
    is_heard = link.state == "online" and now - parts.reports.connected_ms >= STEADY_MS
    # While a motor turns, nothing may keep anybody from looking at it.
    return lived and is_heard and parts.journal.room() and rules.running(parts.journal.state) is None


def _writes(journal) -> bool:
    """Whether the flash takes the whole journal anew. It means the same after that, in its other file."""
    try:
        journal.compact(journal.state)
    except OSError as error:
        # From now on nothing is sold, and the journal tries by itself.
        journal.failed = True
        alarm("journal_failed", kind="F", error=str(error))
        return False
    return True
