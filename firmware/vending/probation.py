"""A program or an image in its first boots: what it has to show before it may stay."""

import asyncio

from . import VERSION, slots, standing, topics
from .borrowed import borrow, give_back
from .log import log, warn

LIVED_MS = 60_000
GIVEN_MS = 600_000
"""What has not proven itself by then boots again: another try, or back to what ran before."""
LOOK_S = 1


async def prove(parts, link, vigil) -> None:
    """Keep what is on trial once it lives: the settings were read, the board was made, the journal can be written, no
    part is silent, the gateway was greeted, a minute has passed. Returns at once if nothing is on trial."""
    root = parts.flash.folder + "/"
    marker = slots.read(root)
    if marker is None or not _on_trial(marker, root):
        return
    while not _lives(parts, link, vigil):
        if parts.clock.ms() > GIVEN_MS:
            warn("release_not_proven")
            parts.service.held = True
            await parts.dispenser.rest()
            parts.board.restart()
        await asyncio.sleep(LOOK_S)
    keep(marker, root)
    log("release_proven", version=VERSION)
    parts.reports.tell(topics.OTA, standing.report(parts))


def keep(marker: dict, root: str) -> None:
    """It stays; nothing older is taken from now on. Raises OSError."""
    kept = slots.changed(marker, state=slots.VALID, trial=None, tries=0, image_trial=None)
    if marker["image_trial"] is not None:
        borrow("partitions").keep()
        give_back("partitions")
        kept["image"] = marker["image_trial"][1]
    else:
        slots.replace(root + marker["trial"] + "/" + slots.PROVEN, VERSION.encode())
        kept["valid"] = marker["trial"]
        kept["floor"] = max(marker["floor"], VERSION, key=slots.order_of)
    slots.write(kept, root)


def _on_trial(marker: dict, root: str) -> bool:
    if marker["image_trial"] is not None:
        runs = borrow("partitions").Partitions().running
        give_back("partitions")
        if runs == marker["image_trial"][0]:
            return True
        # The boot loader went back, or never came so far.
        slots.write(slots.given_up(marker, "the image did not prove itself"), root)
        return False
    return marker["trial"] is not None and marker["trial"] == slots.running()


def _lives(parts, link, vigil) -> bool:
    lived = parts.clock.ms() >= LIVED_MS and not vigil.silent()
    return lived and link.state == "online" and not parts.journal.failed
