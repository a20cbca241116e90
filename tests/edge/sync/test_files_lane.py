"""Files of releases on their way down: whole or not at all, from where they were cut, none blocked by another."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from uuid import UUID

import pytest

from edge.clock import new_id
from edge.settings import Settings
from edge.sync.cloud_client import CloudAway, CloudClient
from edge.sync.files import Files
from shared.releases import AssignedRelease, FirmwareAssigned, ReleaseBundle
from tests.fakes.cloud import FakeCloud, Fault
from tests.fakes.release_key import signed_release
from tests.fakes.sync_gateway import SyncGateway
from tests.fakes.until import until

BIG = bytes(range(256)) * 1000
BUNDLE = signed_release(files={"big.mpy": BIG, "small.mpy": b"small"})
DOCUMENT = BUNDLE.signed.to_line()
DIGEST, SMALL = hashlib.sha256(DOCUMENT).hexdigest(), hashlib.sha256(b"small").hexdigest()
CONTENTS = {hashlib.sha256(content).hexdigest(): content for content in (DOCUMENT, BIG, b"small")}

pytestmark = pytest.mark.usefixtures("started")


async def assign(gateway: SyncGateway, bundle: ReleaseBundle = BUNDLE, device_id: UUID | None = None) -> None:
    document = bundle.signed.to_line()
    release = AssignedRelease(digest=hashlib.sha256(document).hexdigest(), size=len(document))
    change = FirmwareAssigned(
        assignment_id=new_id(), device_id=device_id or new_id(), machine_id=new_id(), release=release
    )
    await gateway.database.unit("test.assign", lambda tx: gateway.site.releases.apply_assigned(tx, change))


def whole(gateway: SyncGateway) -> bool:
    return gateway.site.shelf.lacks(CONTENTS) == []


@pytest.mark.criterion("8.5")
async def test_a_release_is_fetched_once_for_all_its_devices(gateway: SyncGateway, cloud: FakeCloud) -> None:
    cloud.files = dict(CONTENTS)
    for _ in range(3):
        await assign(gateway)
    await until(lambda: whole(gateway))
    await asyncio.sleep(0.1)
    assert cloud.ranges == ["bytes=0-"] * 3


@pytest.mark.criterion("8.5")
async def test_a_download_that_ends_early_goes_on_where_it_ended(gateway: SyncGateway, cloud: FakeCloud) -> None:
    cloud.files, cloud.file_bytes = dict(CONTENTS), 100_000
    await assign(gateway)
    await until(lambda: whole(gateway))
    assert {"bytes=0-", "bytes=100000-", "bytes=200000-"} <= set(cloud.ranges)
    assert len(cloud.ranges) == 5


async def test_what_comes_damaged_is_fetched_anew(gateway: SyncGateway, cloud: FakeCloud) -> None:
    sha256 = hashlib.sha256(BIG).hexdigest()
    cloud.files = CONTENTS | {sha256: b"x" * len(BIG)}
    await assign(gateway)
    await until(lambda: gateway.site.shelf.lacks([SMALL]) == [] and "damaged" in gateway.agent.status.last_error)
    assert gateway.site.shelf.lacks(CONTENTS) == [sha256]
    cloud.files = CONTENTS | {sha256: BIG + b"more"}
    cloud.ranges.clear()
    await until(lambda: len(cloud.ranges) > 2)
    assert gateway.site.shelf.lacks(CONTENTS) == [sha256]
    cloud.files = dict(CONTENTS)
    await until(lambda: whole(gateway))
    assert set(cloud.ranges) == {"bytes=0-"}


async def test_a_file_the_cloud_has_not_blocks_no_other(gateway: SyncGateway, cloud: FakeCloud) -> None:
    cloud.files = dict(CONTENTS)
    lost = signed_release("9.9.9")
    for _ in range(2):
        await assign(gateway, lost)
        await assign(gateway)
    await until(lambda: whole(gateway))
    await until(lambda: "not_found" in gateway.agent.status.last_error)


async def test_troubles_of_the_cloud_pass(gateway: SyncGateway, cloud: FakeCloud) -> None:
    cloud.files = dict(CONTENTS)
    cloud.faults.extend([Fault.DOWN, Fault.GIBBERISH, Fault.BUSY, Fault.DOWN])
    await assign(gateway)
    await until(lambda: whole(gateway), 10)
    await until(lambda: gateway.agent.status.last_error == "", 10)


async def test_a_full_shelf_waits(gateway: SyncGateway, cloud: FakeCloud) -> None:
    cloud.files = dict(CONTENTS)
    gateway.site.shelf.limit_bytes = len(BIG)
    await assign(gateway)
    await until(lambda: gateway.site.shelf.lacks(CONTENTS) == [hashlib.sha256(BIG).hexdigest()])
    await until(lambda: "no room for more files" in gateway.agent.status.last_error)
    gateway.site.shelf.limit_bytes *= 2
    await until(lambda: whole(gateway))


class EndlessClient(CloudClient):
    """A cloud that never ends to tell."""

    async def file_from(self, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        while True:
            yield b"more of it" * 1000


async def test_a_file_without_an_end_is_not_listened_to(gateway: SyncGateway, settings: Settings) -> None:
    client = EndlessClient(settings.cloud_url, gateway.identity, gateway.clock, settings.cloud_timeout_s, gateway.trust)
    await assign(gateway)
    files = Files(client, gateway.site.shelf, gateway.site.releases, gateway.watch)
    async with asyncio.timeout(5):
        with pytest.raises(CloudAway, match="damaged"):
            await files.fetch()
    await client.close()
