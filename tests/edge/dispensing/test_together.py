"""A device whose power supply bears it is asked for several vends at once."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from edge.database import Transaction
from edge.dispensing import store
from edge.dispensing.rules import ANSWER_WITHIN_S, LAPSE_S, RESEND_S, Answer
from shared.commands import COMMAND
from shared.devices import Dispense
from shared.orders import OrderState, OrderView, VendOutcome, VendProgress
from tests.fakes.restarted_site import restarted, stop
from tests.fakes.site import Site, running_site
from tests.fakes.until import until


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        site.device.slow = True
        await able(site, 2)
        yield site


async def able(site: Site, at_once: int) -> None:
    """Let the device say that it takes so many vends together."""
    site.device.at_once = at_once
    await site.device.hello()
    await until(lambda: site.links.at_once(site.device_id) == at_once)


def under_way(view: OrderView) -> int:
    return sum(vend.state is VendProgress.STARTED for vend in view.vends)


async def turn_all(site: Site, count: int) -> None:
    for _ in range(count):
        await site.device.turn()


@pytest.mark.criterion("8.2")
async def test_two_vends_of_an_order_run_side_by_side_and_each_counts_once(site: Site) -> None:
    view = await site.order("A1", "A2")
    await site.until(view.order_id, lambda view: under_way(view) == 2)
    numbers = [(told.epoch, told.seq) for told in dispenses(site)]
    assert numbers == [(1, 1), (1, 2)]
    await turn_all(site, 2)
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert {vend.outcome for vend in view.vends} == {VendOutcome.DISPENSED}
    assert sorted(site.device.starts.values()) == [1, 1]
    assert [await site.stock(slot) for slot in ("A1", "A2")] == [9, 9]


async def test_no_more_is_asked_for_than_the_device_takes_together(site: Site) -> None:
    first, second = await site.order("A1", "A2"), await site.order("A3")
    await site.until(first.order_id, lambda view: under_way(view) == 2)
    await site.settle()
    assert len(dispenses(site)) == 2
    await turn_all(site, 1)
    await site.until(second.order_id, lambda view: under_way(view) == 1)
    await turn_all(site, 2)
    await site.until_state(second.order_id, OrderState.SETTLED)
    assert site.device.starts.total() == 3


async def test_the_next_is_asked_for_once_the_device_is_at_the_one_before(site: Site) -> None:
    """Or its number, seen late, would be refused for ever."""
    site.device.deaf = True
    view = await site.order("A1", "A2")
    await site.settle()
    assert {told.seq for told in dispenses(site)} == {1}
    site.device.deaf = False
    site.clock.step(RESEND_S)
    await site.until(view.order_id, lambda view: under_way(view) == 2)


async def test_a_vend_that_has_to_wait_for_another_is_not_given_up(site: Site) -> None:
    """Two slots of one chute: the device puts the second off, and the gateway knows of no chutes."""
    site.device.at_once = 1
    view = await site.order("A1", "A2")
    await until(lambda: len(dispenses(site)) == 2)
    for _ in range(3):
        site.clock.step(ANSWER_WITHIN_S - RESEND_S)
        site.watch.touch(["open_vends"])
        await site.settle()
    assert under_way(await site.orders.view(view.order_id)) == 1
    await turn_all(site, 1)
    await site.until(view.order_id, lambda view: under_way(view) == 1 and view.vends[0].outcome is not None)
    await turn_all(site, 1)
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert [vend.outcome for vend in view.vends] == [VendOutcome.DISPENSED] * 2
    assert "cancel" not in site.device.heard


async def test_a_vend_that_is_put_off_for_ever_is_given_up_before_it_may_start_unasked(site: Site) -> None:
    site.device.at_once = 1
    view = await site.order("A1", "A2")
    await until(lambda: len(dispenses(site)) == 2)
    for _ in range(5):
        site.clock.step(LAPSE_S / 5)
        site.watch.touch(["open_vends"])
        await site.settle()
    await until(lambda: "cancel" in site.device.heard)
    await turn_all(site, 1)
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert [vend.outcome for vend in view.vends] == [VendOutcome.DISPENSED, VendOutcome.CANCELLED]


async def test_a_slot_that_turns_keeps_no_other_one_waiting(site: Site) -> None:
    first, second = await site.order("A1"), await site.order("A1")
    third = await site.order("A2")
    for order in (first, third):
        await site.until(order.order_id, lambda view: under_way(view) == 1)
    assert under_way(await site.orders.view(second.order_id)) == 0
    await turn_all(site, 2)
    await site.until(second.order_id, lambda view: under_way(view) == 1)


async def test_a_device_that_is_busy_with_nothing_of_ours_is_given_up_in_time(site: Site) -> None:
    site.device.at_once = 0
    view = await site.order("A1")
    await site.settle()
    site.clock.step(ANSWER_WITHIN_S)
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert (view.vends[0].outcome, site.device.starts.total()) == (VendOutcome.CANCELLED, 0)


@pytest.mark.criterion("8.2")
@pytest.mark.parametrize("done_meanwhile", [0, 1, 2])
async def test_a_restart_of_the_gateway_in_the_midst_of_two_starts_nothing_twice(
    site: Site, done_meanwhile: int
) -> None:
    view = await site.order("A1", "A2")
    await site.until(view.order_id, lambda view: under_way(view) == 2)
    await stop(site)
    await turn_all(site, done_meanwhile)
    async with restarted(site) as again:
        again.device.slow = True
        await again.connect()
        await again.device.report_open()
        await turn_all(again, 2 - done_meanwhile)
        view = await again.until_state(view.order_id, OrderState.SETTLED)
    assert [vend.outcome for vend in view.vends] == [VendOutcome.DISPENSED] * 2
    assert sorted(again.device.starts.values()) == [1, 1]


@pytest.mark.criterion("8.2")
async def test_a_journal_that_is_lost_takes_both_vends_with_it(site: Site) -> None:
    view = await site.order("A1", "A2")
    await site.until(view.order_id, lambda view: under_way(view) == 2)
    site.disconnect()
    site.device.wipe()
    await site.connect()
    view = await site.until_state(view.order_id, OrderState.SETTLED)
    assert [vend.outcome for vend in view.vends] == [VendOutcome.AMBIGUOUS] * 2
    assert view.given_back_minor == view.total_minor


async def test_the_ledger_itself_refuses_a_fifth(site: Site) -> None:
    moment = site.clock.moment()

    def open_five(tx: Transaction) -> None:
        for seq in range(1, 6):
            store.add_dispense(tx, UUID(int=seq), site.machine_id, site.device_id, "A1", (1, seq), moment)

    with pytest.raises(sqlite3.IntegrityError, match="four open dispenses"):
        await site.database.unit("test.five", open_five)


def dispenses(site: Site) -> list[Dispense]:
    """Each command of a vend once, in the order of their first publish."""
    commands = [COMMAND.validate_json(payload) for _, payload in site.sent]
    told = [command for command in commands if isinstance(command, Dispense)]
    return list({command.seq: command for command in reversed(told)}.values())[::-1]


async def test_what_a_device_is_at_puts_off_vends_of_its_own_only(site: Site) -> None:
    mine, another, vend_id, next_id = (UUID(int=number) for number in range(1, 5))

    def open_dispense(tx: Transaction) -> sqlite3.Row | None:
        zeros = ", ".join(f"0 AS {side}_{part}" for side in ("lost", "seen") for part in ("epoch", "seq"))
        return tx.one(f"SELECT ? AS vend_id, ? AS device_id, 1 AS epoch, 1 AS seq, {zeros}", str(vend_id), str(mine))

    row = await site.database.read(open_dispense)
    assert row is not None
    site.conductor.progress_of(row).answer = Answer.RUNNING
    assert site.conductor.is_at_another(mine, next_id)
    assert not site.conductor.is_at_another(mine, vend_id)
    assert not site.conductor.is_at_another(another, next_id)
