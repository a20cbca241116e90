"""A device is offered what it shall run: only what can be believed, only when nobody is disturbed, not for ever."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from edge.clock import new_id
from edge.database import Database, Transaction
from edge.mqtt import Message
from edge.releases.rules import MAX_FAILURES, keys_by_id
from edge.releases.service import ReleaseService
from edge.releases.sweep import OFFER_S, RETRY_S, ReleaseSweep
from shared.contract import Rail
from shared.orders import OrderState
from shared.releases import FirmwareChanged
from shared.releases import FirmwareState as State
from shared.topics import Channel, Topic
from tests.fakes.release_key import FILES, PUBLIC, STRANGER, signed_release
from tests.fakes.release_site import BUNDLE, DIGEST, arrive, assign, given_up, offered, offers, quiet, tell
from tests.fakes.restarted_site import restarted, stop
from tests.fakes.site import Site, running_site
from tests.fakes.until import until

T = TypeVar("T")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


@pytest.mark.criterion("8.5")
async def test_a_device_is_offered_its_release_once_all_of_it_is_here(site: Site) -> None:
    await tell(site)
    await assign(site)
    await quiet(site)
    assert offers(site) == []
    sizes = await arrive(site)
    assert sizes[0] == len(BUNDLE.signed.to_line())
    assert sorted(sizes[1:]) == sorted(map(len, FILES.values()))
    await offered(site)


@pytest.mark.criterion("8.5")
async def test_it_is_offered_again_until_the_device_says_what_became_of_it(site: Site) -> None:
    await tell(site)
    await assign(site)
    await arrive(site)
    await offered(site)
    site.clock.step(OFFER_S + 1)
    await offered(site, 2)
    await tell(site, State.FETCHING, offered=DIGEST, fetched=10)
    site.clock.step(OFFER_S + 1)
    await offered(site, 3)
    await tell(site, State.TRIAL, running=DIGEST, offered=DIGEST)
    site.clock.step(OFFER_S + 1)
    await quiet(site)
    assert len(offers(site)) == 3
    assert site.shelf.holds(DIGEST)
    await tell(site, State.VALID, running=DIGEST, offered=DIGEST)
    await until(lambda: not site.shelf.holds(DIGEST))
    site.clock.step(OFFER_S + 1)
    await quiet(site)
    assert len(offers(site)) == 3
    assert await site.releases.missing() == []


@pytest.mark.criterion("8.5")
async def test_nothing_is_offered_while_an_order_is_open_at_the_device(tmp_path: Path) -> None:
    async with running_site(tmp_path, Rail.CASH) as site:
        await tell(site)
        view = await site.order("A1")
        assert view.state is OrderState.PLACED
        await assign(site)
        await arrive(site)
        await quiet(site)
        assert offers(site) == []
        await site.orders.cancel(view.order_id)
        await offered(site)


@pytest.mark.criterion("8.5")
async def test_an_order_opened_during_the_fetch_stops_offers_and_no_piece(site: Site) -> None:
    await tell(site)
    await assign(site)
    await arrive(site)
    await offered(site)
    await tell(site, State.FETCHING, offered=DIGEST)
    site.device.slow = True
    await site.order("A1")
    site.clock.step(OFFER_S + 1)
    await quiet(site)
    assert len(offers(site)) == 1
    assert await site.database.read(lambda tx: site.parcels.may_fetch(tx, site.device_id, DIGEST))


@pytest.mark.criterion("8.5")
async def test_a_device_that_fails_too_often_waits_for_a_person(site: Site) -> None:
    await tell(site)
    await assign(site)
    await arrive(site)
    for time in range(1, MAX_FAILURES + 1):
        await offered(site, time)
        for _ in range(3):  # told anew at each connect, counted once
            await tell(site, State.FAILED, offered=DIGEST, reason="no room")
        site.clock.step(OFFER_S + 1)
        await quiet(site)
        assert len(offers(site)) == time
        site.clock.step(RETRY_S)
    await quiet(site)
    assert len(offers(site)) == MAX_FAILURES
    assert await given_up(site) == ["failed 3 times, last: no room"]
    await until(lambda: not site.shelf.holds(DIGEST))
    await assign(site)
    await arrive(site)
    await offered(site, MAX_FAILURES + 1)


async def test_a_device_that_was_cut_off_goes_on_at_once_in_its_next_boot(site: Site) -> None:
    await tell(site)
    await assign(site)
    await arrive(site)
    await offered(site)
    await tell(site, State.FETCHING, offered=DIGEST)
    await site.device.reboot()
    await until(lambda: str(site.links.boot_id(site.device_id)) == site.device.boot_id)
    await tell(site, State.FETCHING, offered=DIGEST)
    await offered(site, 2)


async def test_the_same_assignment_again_changes_nothing(site: Site) -> None:
    assignment_id = new_id()
    await tell(site)
    await assign(site, assignment_id=assignment_id)
    await arrive(site)
    for time in range(1, MAX_FAILURES + 1):
        await offered(site, time)
        await assign(site, assignment_id=assignment_id)
        await tell(site, State.FAILED, offered=DIGEST, reason="no room")
        site.clock.step(RETRY_S + 1)
    assert len(await given_up(site)) == 1
    await assign(site, assignment_id=assignment_id)
    await quiet(site)
    assert len(offers(site)) == MAX_FAILURES


async def test_a_device_that_has_lost_its_release_is_offered_it_again(site: Site) -> None:
    """Somebody has put another program on it, by cable."""
    await tell(site)
    await assign(site)
    await arrive(site)
    await offered(site)
    await tell(site, State.VALID, running=DIGEST, offered=DIGEST)
    await until(lambda: not site.shelf.holds(DIGEST))
    site.clock.step(OFFER_S + 1)
    await tell(site)
    await site.settle()
    assert len(await arrive(site)) == 1 + len(FILES)
    await offered(site, 2)
    digests = [DIGEST, *(hashlib.sha256(content).hexdigest() for content in FILES.values())]

    def all_permitted(tx: Transaction) -> bool:
        return all(site.parcels.may_fetch(tx, site.device_id, digest) for digest in digests)

    assert await site.database.read(all_permitted)


async def test_a_verdict_on_what_was_replaced_meanwhile_is_of_no_account(site: Site) -> None:
    await stop(site)
    await assign(site, signed_release(key=STRANGER))
    site.shelf.put(signed_release(key=STRANGER).signed.to_line())
    await asyncio.gather(site.releases.check(), assign(site))
    assert await given_up(site) == []
    assert await site.releases.missing() == [(DIGEST, len(BUNDLE.signed.to_line()))]


async def test_an_assignment_of_nothing_ends_the_offers_and_frees_the_disk(site: Site) -> None:
    await tell(site)
    await assign(site)
    await arrive(site)
    await offered(site)
    await assign(site, None)
    await until(lambda: not site.shelf.holds(DIGEST))
    site.clock.step(OFFER_S + 1)
    await quiet(site)
    assert len(offers(site)) == 1


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize("wrong", ["stranger", "expired"])
async def test_what_is_not_to_be_believed_is_given_up(site: Site, wrong: str) -> None:
    site.clock.learn(datetime.now(UTC), 0)
    bundle = signed_release(key=STRANGER) if wrong == "stranger" else signed_release(expires=1_700_000_000)
    document = bundle.signed.to_line()
    await tell(site)
    await assign(site, bundle)
    ((sha256, size),) = await site.releases.missing()
    site.shelf.begin(sha256, size)
    site.shelf.append(sha256, document)
    site.shelf.finish(sha256)
    assert await site.releases.missing() == []
    (reason,) = await given_up(site)
    assert ("not a release key" if wrong == "stranger" else "expired") in reason
    assert offers(site) == []


async def test_a_clock_that_nobody_has_set_expires_nothing(site: Site) -> None:
    bundle = signed_release(expires=1_700_000_000)
    document = bundle.signed.to_line()
    await assign(site, bundle)
    site.shelf.put(document)
    await site.releases.check()
    assert await given_up(site) == []
    assert len(await site.releases.missing()) == len(FILES)


async def test_a_device_that_says_nothing_of_its_firmware_is_offered_none(site: Site) -> None:
    await assign(site)
    await arrive(site)
    await quiet(site)
    assert offers(site) == []
    site.disconnect()
    await tell(site)
    await quiet(site)
    assert offers(site) == []


async def test_what_was_said_in_another_boot_is_not_waited_on(site: Site) -> None:
    await assign(site)
    await arrive(site)
    before = site.device.boot_id
    site.device.boot_id = str(new_id())
    await tell(site)
    await quiet(site)
    assert offers(site) == []
    site.device.boot_id = before
    await tell(site)
    await offered(site)


@pytest.mark.criterion("8.5")
async def test_a_file_that_the_disk_has_damaged_is_missed_and_comes_again(site: Site, tmp_path: Path) -> None:
    await tell(site)
    await assign(site)
    await arrive(site)
    await offered(site)
    damaged = hashlib.sha256(FILES["boot.mpy"]).hexdigest()
    (tmp_path / "parcels" / damaged).write_bytes(b"x" * len(FILES["boot.mpy"]))
    assert site.shelf.read(damaged, 0, 1536) == b""
    site.clock.step(OFFER_S + 1)
    await quiet(site)
    assert len(offers(site)) == 1
    assert await site.releases.missing() == [(damaged, len(FILES["boot.mpy"]))]
    await arrive(site)
    await offered(site, 2)


@pytest.mark.criterion("8.5")
async def test_the_cloud_is_told_what_the_device_says_when_it_has_changed(site: Site) -> None:
    await tell(site)
    await tell(site)
    site.device.boot_id = str(new_id())
    await tell(site)
    await tell(site, State.FETCHING, offered=DIGEST, fetched=1)
    await tell(site, State.FETCHING, offered=DIGEST, fetched=2)
    await tell(site, State.FAILED, offered=DIGEST, reason="no room")
    facts = [fact.body for fact in await site.facts() if isinstance(fact.body, FirmwareChanged)]
    assert [(fact.state, fact.offered, fact.reason) for fact in facts] == [
        (State.VALID, None, None),
        (State.FETCHING, DIGEST, None),
        (State.FAILED, DIGEST, "no room"),
    ]


@pytest.mark.criterion("8.5")
async def test_all_of_it_outlives_a_restart(site: Site) -> None:
    await tell(site)
    await assign(site)
    await arrive(site)
    await offered(site)
    await stop(site)
    async with restarted(site) as again:
        await again.connect()
        await until(lambda: again.links.online(again.device_id))
        assert await again.releases.missing() == []
        await tell(again, State.FAILED, offered=DIGEST, reason="power")
        await offered(again)
    row = await site.database.read(lambda tx: tx.one("SELECT failures FROM release_assignments"))
    assert row is not None
    assert row["failures"] == 1


class FullDisk(Database):
    """A ledger that has no room for another promise."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger

    async def read(self, work: Callable[[Transaction], T]) -> T:
        return await self._ledger.read(work)

    async def unit(self, name: str, work: Callable[[Transaction], T]) -> T:
        return await self._ledger.unit(name, work)

    def has_room(self) -> bool:
        return False


async def test_a_disk_that_is_nearly_full_is_left_to_the_sales(site: Site) -> None:
    await stop(site)
    site.log_in()
    hello = str(Topic(site.machine_id, site.device_id, Channel.HELLO))
    await site.routes.handle(Message(hello, site.device.hello_line(), site.clock.monotonic()))
    await tell(site)
    await assign(site)
    assert len(await releases_over(FullDisk(site.database), site).missing()) == 0
    await arrive(site)
    for database, count in ((FullDisk(site.database), 0), (site.database, 1)):
        releases = releases_over(database, site)
        parts = (releases, site.orders, site.dispenses, site.payments, site.parcels)
        sweep = ReleaseSweep(database, *parts, site.links, site.clock, site.watch, sweep_s=0.05)
        sweeping = asyncio.create_task(sweep.run(), name="releases")
        await quiet(site)
        assert len(offers(site)) == count
        sweeping.cancel()


def releases_over(database: Database, site: Site) -> ReleaseService:
    return ReleaseService(database, site.parcels, site.shelf, site.outbox, site.clock, keys_by_id([PUBLIC]))
