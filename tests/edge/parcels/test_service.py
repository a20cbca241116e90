"""A device fetches what it may have, piece by piece, and nothing else."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edge.clock import new_id
from shared.commands import COMMAND, mac_of
from shared.parcels import PIECE_BYTES, Ask, Piece
from shared.signed import Purpose
from shared.topics import Channel, Topic
from tests.fakes.restarted_site import restarted, stop
from tests.fakes.site import Site, running_site
from tests.fakes.until import until

DATA = bytes(range(256)) * 13


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        await site.settle()
        site.sent.clear()
        yield site


async def permit(site: Site, *digests: str, purpose: Purpose = Purpose.SETTINGS) -> None:
    await site.database.unit("test.permit", lambda tx: site.parcels.permit(tx, site.device_id, purpose, digests))
    await site.settle()


async def ask(site: Site, digest: str, offset: int = 0, size: int = PIECE_BYTES) -> None:
    """The device asks."""
    wish = Ask(boot_id=UUID(site.device.boot_id), digest=digest, offset=offset, size=size)
    await site.parcels.ask(Topic(site.machine_id, site.device_id, Channel.ASK), wish)


def said(site: Site, kind: str) -> list[dict[str, Any]]:
    told = [json.loads(payload) for _, payload in site.sent]
    return [message for message in told if message["type"] == kind]


async def piece(site: Site, digest: str, offset: int = 0, size: int = PIECE_BYTES) -> bytes:
    """What the device is sent when it asks."""
    before = len(said(site, "piece"))
    await ask(site, digest, offset, size)
    await until(lambda: len(said(site, "piece")) > before)
    answer = said(site, "piece")[-1]
    assert (answer["digest"], answer["offset"]) == (digest, offset)
    return b64decode(answer["data"])


@pytest.mark.criterion("8.5")
async def test_a_device_fetches_a_file_from_any_offset(site: Site) -> None:
    digest = await site.parcels.put(DATA)
    await permit(site, digest)
    fetched = b""
    while len(fetched) < len(DATA):
        fetched += await piece(site, digest, len(fetched))
    assert fetched == DATA
    assert await piece(site, digest, 100, 7) == DATA[100:107]
    assert await piece(site, digest, len(DATA)) == b""
    last = COMMAND.validate_json(site.sent[-1][1])
    assert isinstance(last, Piece)
    assert last.mac == mac_of(site.device.key, site.machine_id, site.device_id, last)
    assert all(len(payload) < 4096 for _, payload in site.sent)


async def test_a_device_gets_nothing_that_it_may_not_have(site: Site) -> None:
    mine, foreign = await site.parcels.put(DATA), await site.parcels.put(b"somebody else's")
    other = new_id()
    await permit(site, mine)
    await site.database.unit("test.permit", lambda tx: site.parcels.permit(tx, other, Purpose.SETTINGS, [foreign]))
    assert await piece(site, mine) == DATA[:PIECE_BYTES]
    assert await piece(site, foreign) == b""
    assert await piece(site, "00" * 32) == b""


async def test_permits_for_one_purpose_leave_those_for_another_alone(site: Site) -> None:
    settings, release = await site.parcels.put(DATA), await site.parcels.put(b"release")
    await permit(site, settings, purpose=Purpose.SETTINGS)
    await permit(site, release, purpose=Purpose.RELEASE)
    assert await piece(site, settings)
    await permit(site, purpose=Purpose.SETTINGS)
    assert not await piece(site, settings)
    assert await piece(site, release) == b"release"


async def test_what_nobody_may_fetch_any_more_is_removed(site: Site) -> None:
    kept, gone = await site.parcels.put(DATA), await site.parcels.put(b"old")
    await permit(site, kept, gone)
    await permit(site, kept)
    await until(lambda: not site.shelf.holds(gone))
    assert site.shelf.holds(kept)


async def test_a_file_put_and_not_yet_permitted_is_not_removed(site: Site) -> None:
    early = await site.parcels.put(b"early")
    await permit(site, await site.parcels.put(DATA))
    await site.settle()
    assert site.shelf.holds(early)


@pytest.mark.criterion("8.5")
async def test_permits_and_files_outlive_a_restart(site: Site) -> None:
    digest = await site.parcels.put(DATA)
    await permit(site, digest)
    await stop(site)
    async with restarted(site) as again:
        await again.connect()
        await until(lambda: again.links.online(again.device_id))
        again.sent.clear()
        assert await piece(again, digest, 1536) == DATA[1536:3072]


async def test_of_a_devices_asks_only_the_newest_waits(site: Site) -> None:
    digest = await site.parcels.put(DATA)
    await permit(site, digest)
    for offset in range(100):
        await ask(site, digest, offset)
    await until(lambda: bool(said(site, "piece")))
    await site.settle()
    assert [answer["offset"] for answer in said(site, "piece")] == [99]


async def test_another_boot_of_the_device_is_not_answered(site: Site) -> None:
    digest = await site.parcels.put(DATA)
    await permit(site, digest)
    stale = Ask(boot_id=new_id(), digest=digest, offset=0, size=16)
    await site.parcels.ask(Topic(site.machine_id, site.device_id, Channel.ASK), stale)
    await site.settle()
    assert said(site, "piece") == []


async def test_a_disk_that_cannot_be_read_costs_the_piece_and_nothing_else(site: Site, tmp_path: Path) -> None:
    digest, other = await site.parcels.put(DATA), await site.parcels.put(b"other")
    await permit(site, digest, other)
    (tmp_path / "parcels" / digest).unlink()
    (tmp_path / "parcels" / digest).mkdir()
    await ask(site, digest)
    await site.settle()
    assert said(site, "piece") == []
    assert await piece(site, other) == b"other"


async def test_an_offer_carries_the_links_nonce_and_mac(site: Site) -> None:
    digest = await site.parcels.put(DATA)
    assert site.parcels.offer(site.machine_id, site.device_id, Purpose.SETTINGS, digest, len(DATA))
    offer = COMMAND.validate_json(site.sent[-1][1])
    assert offer.type == "offer"
    assert (offer.digest, offer.size, offer.nonce) == (digest, len(DATA), site.device.nonce)
    assert offer.mac == mac_of(site.device.key, site.machine_id, site.device_id, offer)


async def test_nothing_is_offered_to_a_device_that_is_not_there(site: Site) -> None:
    site.disconnect()
    assert not site.parcels.offer(site.machine_id, site.device_id, Purpose.SETTINGS, "00" * 32, 10)
    assert site.sent == []


async def test_a_vend_does_not_wait_for_pieces(site: Site) -> None:
    """The one consumer of all messages hands an ask on and goes to the next message."""
    digest = await site.parcels.put(bytes(1_500_000))
    await permit(site, digest)
    async with asyncio.timeout(5):
        await ask(site, digest)
        assert said(site, "piece") == []
