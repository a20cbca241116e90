"""A vend on its way: repeats, restarts, nonces, and proof that comes in pieces."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.clock import new_id
from edge.dispensing.conductor import HEARING_S, OPEN_VENDS_KEY, Progress
from edge.dispensing.rules import LAPSE_S, RESEND_S, STUCK_S
from shared.commands import COMMAND
from shared.contract import Rail
from shared.devices import Dispense, Drop
from shared.orders import OrderState, OrderView, VendOutcome, VendProgress
from shared.topics import Channel, Topic
from tests.fakes.restarted_site import restarted, stop
from tests.fakes.site import PRICE_MINOR, Site, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path, Rail.CASH) as site:
        await site.device.insert_coin(2 * PRICE_MINOR)
        await site.settle()
        yield site


def started(view: OrderView) -> bool:
    return view.vends[0].state is VendProgress.STARTED


async def test_a_lost_command_is_repeated_with_the_same_number(site: Site) -> None:
    site.device.deaf = True
    view = await site.order("A1")
    await site.settle()
    for _ in range(2):
        site.clock.step(RESEND_S)
        await asyncio.sleep(RESEND_S / 4 + 0.05)
    site.device.deaf = False
    site.clock.step(RESEND_S)
    await site.until_state(view.order_id, OrderState.SETTLED)
    commands = [COMMAND.validate_json(payload) for _, payload in site.sent]
    numbers = {(command.epoch, command.seq) for command in commands if isinstance(command, Dispense)}
    assert numbers == {(1, 1)}
    assert len([command for command in commands if isinstance(command, Dispense)]) >= 3
    assert list(site.device.starts.values()) == [1]


async def test_a_stale_nonce_is_replaced_by_the_one_the_device_tells(site: Site) -> None:
    site.device.nonce = "f" * 16
    view = await site.order("A1")
    await site.until_state(view.order_id, OrderState.SETTLED)
    assert site.links.nonce(site.device_id) == "f" * 16
    assert list(site.device.starts.values()) == [1]


async def test_a_drop_that_was_told_settles_a_vend_whose_report_never_comes(site: Site) -> None:
    site.device.slow = True
    view = await site.order("A1")
    await site.until(view.order_id, started)
    await site.device.start()
    drop = Drop(boot_id=view.order_id, epoch=1, seq=1, vend_id=view.vends[0].vend_id)
    await site.dispenses.record_drop(Topic(site.machine_id, site.device_id, Channel.DROP), drop)
    site.disconnect()
    site.clock.step(LAPSE_S)
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.DISPENSED
    assert await site.credit() == PRICE_MINOR


async def test_proof_of_a_drop_that_came_in_meanwhile_decides(site: Site) -> None:
    """The vend is given up by what was read before the drop was told."""
    site.device.slow = True
    view = await site.order("A1")
    view = await site.until(view.order_id, started)
    vend_id = view.vends[0].vend_id
    topic = Topic(site.machine_id, site.device_id, Channel.DROP)
    await site.dispenses.record_drop(topic, Drop(boot_id=view.order_id, epoch=1, seq=1, vend_id=vend_id))
    await site.orders.end_unanswered(vend_id, VendOutcome.AMBIGUOUS)
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert (view.vends[0].outcome, view.given_back_minor) == (VendOutcome.DISPENSED, 0)


@pytest.mark.parametrize("looked_before", [False, True])
async def test_the_silence_of_a_ledger_is_not_a_devices(site: Site, looked_before: bool) -> None:
    """Not even if it begins when the vend has all but lapsed."""
    site.device.slow = True
    view = await site.order("A1")
    await site.until(view.order_id, started)
    await site.device.start()
    if looked_before:
        site.clock.step(LAPSE_S - HEARING_S / 2)
        site.watch.touch([OPEN_VENDS_KEY])
        await asyncio.sleep(0.05)
    busy = asyncio.create_task(site.database.unit("test.busy", lambda tx: time.sleep(0.3)))
    await asyncio.sleep(0.02)
    site.watch.touch([OPEN_VENDS_KEY])
    await asyncio.sleep(0.02)
    site.clock.step(LAPSE_S + 1)
    await busy
    await site.settle()
    assert (await site.orders.view(view.order_id)).vends[0].outcome is None
    await site.device.turn()
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.DISPENSED


async def test_a_drop_told_by_another_device_proves_nothing(site: Site) -> None:
    site.device.slow = True
    view = await site.order("A1")
    await site.until(view.order_id, started)
    drop = Drop(boot_id=view.order_id, epoch=1, seq=1, vend_id=view.vends[0].vend_id)
    await site.dispenses.record_drop(Topic(site.machine_id, view.order_id, Channel.DROP), drop)
    site.disconnect()
    site.clock.step(LAPSE_S)
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.AMBIGUOUS


@pytest.mark.parametrize("done_meanwhile", [False, True])
async def test_a_restart_in_mid_vend_starts_nothing_twice(site: Site, done_meanwhile: bool) -> None:
    site.device.slow = True
    view = await site.order("A1")
    await site.until(view.order_id, started)
    await stop(site)
    await site.device.start()
    if done_meanwhile:
        await site.device.turn()
    async with restarted(site) as again:
        again.log_in()
        await again.device.hello()
        await again.settle()
        await again.device.turn() if not done_meanwhile else await again.device.report_open()
        view = await again.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.DISPENSED
    assert list(site.device.starts.values()) == [1]


async def test_a_vend_of_a_restored_ledger_is_never_asked_for_again(site: Site) -> None:
    """Its device may have run it long ago, and have been swapped since: only a cancel may carry the old number."""
    site.device.deaf = True
    view = await site.order("A1")
    await site.settle()
    await stop(site)
    await site.database.unit("test", site.devices.begin_epoch)
    site.device.deaf = False
    async with restarted(site) as again:
        again.log_in()
        await again.device.hello()
        view = await again.until_state(view.order_id, OrderState.SETTLED)
        assert "dispense" not in again.device.heard
    assert view.vends[0].outcome is VendOutcome.CANCELLED
    assert site.device.starts == {}
    assert await site.credit() == 2 * PRICE_MINOR


def first_lapse(progress: Progress, sends: dict[float, str], until: float) -> float:
    """When it is found to have lapsed, looked at every half second; `sends` are the nonces quoted, by the second."""
    for tick in range(int(2 * until)):
        now = tick / 2
        if now in sends:
            progress.quote(sends[now], now)
        if progress.look(now):
            return now
    return until


def test_a_customer_waits_for_a_dead_device_as_long_as_its_last_nonce_lives() -> None:
    same = {float(second): "a" * 16 for second in range(0, 10, 2)}
    assert first_lapse(Progress(new_id(), (1, 1), False, 0, 0), same, 100) == LAPSE_S
    renewed = same | {8.0: "b" * 16}
    assert first_lapse(Progress(new_id(), (1, 1), False, 0, 0), renewed, 100) == 8 + LAPSE_S


def test_a_vend_that_is_heard_of_again_has_not_lapsed() -> None:
    progress = Progress(new_id(), (1, 1), True, 0, 0)
    assert not progress.look(LAPSE_S + 5)
    progress.quiet_since = LAPSE_S + 5.5
    assert not progress.look(LAPSE_S + 6)
    assert first_lapse(progress, {}, 100) == STUCK_S
