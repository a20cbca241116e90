"""A gateway that is assigned a release, the cloud that has it, and a device that tells what it runs."""

import hashlib
import json
from typing import Any
from uuid import UUID

from edge.clock import new_id
from shared.releases import (
    AssignedRelease,
    FirmwareAssigned,
    FirmwareGivenUp,
    FirmwareReport,
    FirmwareRunning,
    ReleaseBundle,
)
from shared.releases import FirmwareState as State
from shared.topics import Channel, Topic
from tests.fakes.release_key import FILES, signed_release
from tests.fakes.site import Site
from tests.fakes.until import until

BUNDLE = signed_release("1.1.0")
DIGEST = hashlib.sha256(BUNDLE.signed.to_line()).hexdigest()


async def assign(site: Site, bundle: ReleaseBundle | None = BUNDLE, assignment_id: UUID | None = None) -> None:
    """The cloud assigns a release."""
    document = bundle.signed.to_line() if bundle else b""
    release = AssignedRelease(digest=hashlib.sha256(document).hexdigest(), size=len(document)) if bundle else None
    change = FirmwareAssigned(
        assignment_id=assignment_id or new_id(), device_id=site.device_id, machine_id=site.machine_id, release=release
    )
    await site.database.unit("test.assign", lambda tx: site.releases.apply_assigned(tx, change))


async def arrive(site: Site) -> list[int]:
    """All that is missing comes from the cloud; the sizes, in the order it was asked for."""
    contents = {hashlib.sha256(content).hexdigest(): content for content in (BUNDLE.signed.to_line(), *FILES.values())}
    sizes = []
    while missing := await site.releases.missing():
        sha256, size = missing[0]
        assert len(contents[sha256]) == size
        site.shelf.begin(sha256, size)
        site.shelf.append(sha256, contents[sha256])
        site.shelf.finish(sha256)
        sizes.append(size)
    return sizes


async def tell(
    site: Site, state: State = State.VALID, running: str | None = None, offered: str | None = None, **others: Any
) -> None:
    """The device tells of its firmware."""
    firmware = FirmwareRunning(slot="b" if running else "a", digest=running, version="1.1.0" if running else "1.0.0")
    boot_id = UUID(site.device.boot_id)
    report = FirmwareReport(boot_id=boot_id, running=firmware, state=state, offered=offered, **others)
    await site.releases.report(Topic(site.machine_id, site.device_id, Channel.OTA), report)


def offers(site: Site) -> list[str]:
    """The digests of all offers so far."""
    told = [json.loads(payload) for _, payload in site.sent]
    return [message["digest"] for message in told if message["type"] == "offer"]


async def offered(site: Site, count: int = 1) -> None:
    """So many offers, and no more, come."""
    await until(lambda: len(offers(site)) >= count)
    await site.settle()
    assert offers(site) == [DIGEST] * count


async def given_up(site: Site) -> list[str]:
    """The reasons for which releases were given up."""
    return [fact.body.reason for fact in await site.facts() if isinstance(fact.body, FirmwareGivenUp)]


async def quiet(site: Site) -> None:
    """Time for many sweeps."""
    for _ in range(3):
        await site.settle()
