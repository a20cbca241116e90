"""A device that loses its journal in mid-vend: whatever crashes, no motor starts twice for one vend."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.clock import new_id
from edge.database import Transaction
from edge.dispensing.conductor import OPEN_VENDS_KEY
from firmware.vending import rules as device
from shared.contract import Rail
from shared.devices import Hello
from shared.orders import OrderState, OrderView, VendOutcome, VendProgress
from shared.topics import Channel, Topic
from tests.fakes.restarted_site import restarted, stop
from tests.fakes.site import PRICE_MINOR, Site, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path, Rail.CASH) as site:
        await site.device.insert_coin(3 * PRICE_MINOR)
        await site.settle()
        yield site


async def run_vends(site: Site, count: int) -> None:
    """So many vends from tap to acknowledgement."""
    for _ in range(count):
        await site.until_state((await site.order("A1")).order_id, OrderState.SETTLED)


async def start_vend(site: Site) -> OrderView:
    """An order whose motor has started, and the device has told that it is at it."""
    site.device.slow = True
    view = await site.order("A1")
    view = await site.until(view.order_id, lambda now: now.vends[0].state is VendProgress.STARTED)
    await site.device.start()
    return view


async def say_hello(site: Site) -> None:
    """A hello that is committed, and of which the conductor hears nothing more before it dies."""
    topic = Topic(site.machine_id, site.device_id, Channel.HELLO)
    await site.dispenses.hello(topic, Hello.model_validate_json(site.device.hello_line()))


async def given_up(site: Site, view: OrderView) -> None:
    """The vend comes to its end, and its one command was the only one."""
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.AMBIGUOUS
    assert set(site.device.starts.values()) == {1}
    assert site.device.heard.count("dispense") == len(site.device.starts)


@pytest.mark.parametrize("vends_before", [0, 1])
async def test_a_wiped_device_is_known_again_after_a_crash(site: Site, vends_before: int) -> None:
    """A device's very first vend is the one that leaves least behind: its numbers were never reported."""
    await run_vends(site, vends_before)
    view = await start_vend(site)
    await stop(site)
    site.device.wipe()
    await say_hello(site)
    async with restarted(site) as again:
        await again.connect()
        await given_up(again, view)


@pytest.mark.parametrize("vends_before", [0, 1])
async def test_a_device_that_is_wiped_while_the_gateway_is_down(site: Site, vends_before: int) -> None:
    await run_vends(site, vends_before)
    view = await start_vend(site)
    await stop(site)
    site.device.wipe()
    async with restarted(site) as again:
        await again.connect()
        await given_up(again, view)


@pytest.mark.parametrize("taken_up", [False, True])
async def test_what_the_conductor_read_before_the_hello_starts_nothing(site: Site, taken_up: bool) -> None:
    """A gateway that has just come up holds rows that tell nothing of the wiped journal when the link opens."""
    await run_vends(site, 1)
    view = await start_vend(site)
    await stop(site)
    site.device.wipe()
    busy = asyncio.create_task(site.database.unit("test.busy", lambda tx: time.sleep(0 if taken_up else 0.2)))
    await asyncio.sleep(0.02)
    async with restarted(site) as again:
        if taken_up:
            await again.settle()
            busy = asyncio.create_task(again.database.unit("test.busy", lambda tx: time.sleep(0.2)))
            await asyncio.sleep(0.02)
        await again.connect()
        await asyncio.sleep(0.02)
        again.watch.touch([OPEN_VENDS_KEY])
        await busy
        await given_up(again, view)


async def test_a_swapped_board_that_has_done_as_much_is_another(site: Site) -> None:
    await run_vends(site, 1)
    view = await start_vend(site)
    await stop(site)
    site.device.wipe()
    site.device.journal = device.Journal((1, 1), (), ())
    async with restarted(site) as again:
        await again.connect()
        await given_up(again, view)


@pytest.mark.parametrize("vends_before", [0, 1])
async def test_a_journal_without_its_tail_has_lost_the_vend_it_told_of(site: Site, vends_before: int) -> None:
    """The same journal, but shorter than its device has told: the word that it is at the vend counts too."""
    await run_vends(site, vends_before)
    view = await start_vend(site)
    site.device.journal = device.Journal((1, vends_before), (), ())
    await site.connect()
    await given_up(site, view)


@pytest.mark.parametrize("vends_before", [0, 1])
async def test_a_lost_tail_is_known_again_after_a_crash(site: Site, vends_before: int) -> None:
    """Only the gateway that died had heard the device's word that it is at the vend."""
    await run_vends(site, vends_before)
    view = await start_vend(site)
    site.device.journal = device.Journal((1, vends_before), (), ())
    await stop(site)
    await say_hello(site)
    async with restarted(site) as again:
        await again.connect()
        await given_up(again, view)


async def test_a_second_loss_in_the_same_vend_changes_nothing(site: Site) -> None:
    view = await start_vend(site)
    await stop(site)
    for _ in range(2):
        site.device.wipe()
        await say_hello(site)
    async with restarted(site) as again:
        again.device.wipe()
        await again.connect()
        await given_up(again, view)


async def place_unpublished(site: Site) -> OrderView:
    """An order whose device goes away between the request and its commit."""
    site.interruptions.at("orders.place.before_commit", site.disconnect)
    view = await site.order("A1")
    assert view.vends[0].state is VendProgress.REQUESTED
    assert "dispense" not in site.device.heard
    return view


@pytest.mark.parametrize("restart", [False, True])
async def test_a_vend_that_was_not_published_goes_to_the_new_journal(site: Site, restart: bool) -> None:
    """And what the new journal has, it answers for, though it was requested before the old one was lost."""
    view = await place_unpublished(site)
    site.device.wipe()
    site.device.slow = restart
    await site.connect()
    if restart:
        await site.until(view.order_id, lambda now: now.vends[0].state is VendProgress.STARTED)
        await stop(site)
        async with restarted(site) as again:
            await again.settle()
            await again.connect()
            await again.settle()
            await again.device.turn()
            view = await again.until_state(view.order_id, OrderState.SETTLED)
    else:
        view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.DISPENSED
    assert list(site.device.starts.values()) == [1]


@pytest.mark.parametrize("wiped", [False, True])
async def test_a_vend_of_a_restored_ledger_is_asked_for_only_at_the_journal_that_had_it(
    site: Site, wiped: bool
) -> None:
    """The device comes before all is recalled. A cancel would let a wiped one say that nothing had started."""
    view = await start_vend(site)
    await stop(site)
    if wiped:
        site.device.wipe()

    def restore(tx: Transaction) -> None:
        site.devices.begin_epoch(tx)
        site.order_recall.hold_open(tx)

    await site.database.unit("test.restore", restore)
    async with restarted(site) as again:
        await again.connect()
        await again.settle()
        await again.database.unit("test.finish", again.order_recall.finish)
        if not wiped:
            await again.settle()
            await again.device.turn()
        view = await again.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is (VendOutcome.AMBIGUOUS if wiped else VendOutcome.DISPENSED)
    assert list(site.device.starts.values()) == [1]
    assert ("cancel" in site.device.heard) is not wiped


async def test_a_wiped_board_is_not_sent_what_an_older_hello_of_it_allows(site: Site) -> None:
    """The hello of before its reboot is handled late, over its new connection, and its own hello is lost."""
    site.device.slow = True
    view = await start_vend(site)
    await stop(site)
    old_hello = site.device.hello_line()
    site.device.wipe()
    site.device.nonce = f"{new_id().int % 16**16:016x}"
    async with restarted(site) as again:
        again.log_in()
        await again.device.send(str(Topic(site.machine_id, site.device_id, Channel.HELLO)), old_hello)
        await again.settle()
        again.clock.step(3)
        again.watch.touch([OPEN_VENDS_KEY])
        await again.settle()
        assert len(again.device.journal.vends) == 0
        await again.device.hello()
        view = await again.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.AMBIGUOUS
    assert list(site.device.starts.values()) == [1]
