"""Orders over a real ledger and the firmware's own rules."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from edge.dispensing.rules import ANSWER_WITHIN_S, LAPSE_S
from edge.errors import Refused, Unavailable
from edge.links import LINKS_KEY
from edge.orders.rules import PAY_WINDOW_S
from shared.contract import Rail
from shared.errors import Code
from shared.inventory import Reason
from shared.orders import OrderState, OrderView, VendOutcome, VendProgress
from shared.sync import CHAIN_START, link
from tests.fakes.device import NOTHING_FELL
from tests.fakes.site import PRICE_MINOR, SLOTS, Site, running_site


@pytest.fixture
async def free(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


@pytest.fixture
async def cash(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path, Rail.CASH) as site:
        yield site


def started(position: int) -> Callable[[OrderView], bool]:
    return lambda view: view.vends[position].state is VendProgress.STARTED


@pytest.mark.criterion("8.2")
@pytest.mark.criterion("8.3")
async def test_a_tap_becomes_a_motor_start_and_facts_in_order(free: Site) -> None:
    view = await free.order("A1")
    view = await free.until_state(view.order_id, OrderState.SETTLED)

    assert [vend.outcome for vend in view.vends] == [VendOutcome.DISPENSED]
    assert free.device.starts == {str(view.vends[0].vend_id): 1}
    assert await free.stock("A1") == 9
    facts = [fact.body.event for fact in await free.facts()][len(SLOTS) + 1 :]
    assert facts == [
        "order_placed",
        "payment_attempted",
        "payment_authorised",
        "vend_requested",
        "vend_resolved",
        "stock_moved",
        "payment_captured",
        "order_ended",
    ]
    await free.settle()
    assert free.device.journal.vends == ()


async def test_facts_form_one_chain_without_gaps(free: Site) -> None:
    view = await free.order("A1", "A2")
    await free.until_state(view.order_id, OrderState.SETTLED)
    rows = await free.database.read(lambda tx: tx.all("SELECT seq, line, chain FROM outbox ORDER BY seq"))
    chain = CHAIN_START
    for seq, row in enumerate(rows, start=1):
        chain = link(chain, row["line"])
        assert (row["seq"], row["chain"]) == (seq, chain)


async def test_units_of_one_order_run_one_after_the_other(free: Site) -> None:
    free.device.slow = True
    view = await free.order("A1", "A1", "A2")
    for done in range(3):
        await free.until(view.order_id, started(done))
        await free.device.turn()
    view = await free.until_state(view.order_id, OrderState.SETTLED)
    assert set(free.device.starts.values()) == {1}
    assert len(free.device.starts) == 3


async def test_the_same_key_is_the_same_order(free: Site) -> None:
    key = uuid4()
    with capture_logs() as said:
        first, again = await asyncio.gather(free.order("A1", key=key), free.order("A1", key=key))
    assert first.order_id == again.order_id
    placings = [entry["event"] for entry in said if entry.get("order_id") == str(first.order_id)]
    assert sorted(placings) == ["order_placed", "order_repeated"]
    await free.until_state(first.order_id, OrderState.SETTLED)
    assert await free.stock("A1") == 9
    with pytest.raises(Refused) as refused:
        await free.order("A2", key=key)
    assert refused.value.code is Code.IDEMPOTENCY_KEY_REUSED


@pytest.mark.criterion("2.1")
async def test_the_last_unit_is_sold_once_to_many_who_want_it(free: Site) -> None:
    await free.move_stock("A1", -9, Reason.ADJUST)
    results = await asyncio.gather(*(free.order("A1") for _ in range(20)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, Refused)]
    assert [error.code for error in refused] == [Code.SOLD_OUT] * 19
    await free.settle()
    assert await free.stock("A1") == 0


@pytest.mark.criterion("2.2")
async def test_a_refused_order_leaves_nothing_behind(free: Site) -> None:
    await free.move_stock("A2", -10, Reason.ADJUST)
    before = len(await free.facts())
    with pytest.raises(Refused):
        await free.order("A1", "A2")
    assert len(await free.facts()) == before
    levels = await free.database.read(lambda tx: free.inventory.levels(tx, free.machine_id))
    assert levels["A1"].reserved == 0


async def test_an_absent_device_sells_nothing(free: Site) -> None:
    free.disconnect()
    with pytest.raises(Unavailable) as refused:
        await free.order("A1")
    assert refused.value.code is Code.MACHINE_OFFLINE


async def test_no_drop_gives_the_money_back_and_closes_the_slot(cash: Site) -> None:
    cash.device.evidence = NOTHING_FELL
    await cash.device.insert_coin(PRICE_MINOR)
    view = await cash.order("A1")
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.NO_DROP
    assert view.given_back_minor == PRICE_MINOR
    assert await cash.credit() == PRICE_MINOR
    with pytest.raises(Refused) as refused:
        await cash.order("A1")
    assert refused.value.code is Code.SLOT_SUSPECT
    await cash.move_stock("A1", 0, Reason.COUNT)
    cash.device.slow = True
    await cash.order("A1")


async def test_cash_waits_for_coins_and_counts_each_once(cash: Site) -> None:
    view = await cash.order("A1")
    assert (view.state, view.due_minor) == (OrderState.PLACED, PRICE_MINOR)
    credit_id = await cash.device.insert_coin(1500)
    await cash.device.repeat_credit(credit_id, 1500)
    await cash.settle()
    assert (await cash.orders.view(view.order_id)).due_minor == 500
    await cash.device.insert_coin(1000)
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert await cash.credit() == 500
    await cash.settle()
    assert cash.device.journal.credits == ()


async def test_an_unpaid_order_expires_and_frees_its_stock(cash: Site) -> None:
    view = await cash.order("A1")
    cash.clock.step(PAY_WINDOW_S)
    view = await cash.until_state(view.order_id, OrderState.EXPIRED)
    levels = await cash.database.read(lambda tx: cash.inventory.levels(tx, cash.machine_id))
    assert (levels["A1"].on_hand, levels["A1"].reserved) == (10, 0)


async def test_a_forgotten_order_leaves_the_next_customers_coins_alone(cash: Site) -> None:
    await cash.move_stock("A1", -9, Reason.ADJUST)
    forgotten = await cash.order("A1", "A2")
    wanted = await cash.order("A1")
    assert (await cash.orders.view(forgotten.order_id)).state is OrderState.CANCELLED
    await cash.device.insert_coin(PRICE_MINOR)
    wanted = await cash.until_state(wanted.order_id, OrderState.SETTLED)
    assert [vend.outcome for vend in wanted.vends] == [VendOutcome.DISPENSED]
    assert set(cash.device.starts) == {str(wanted.vends[0].vend_id)}
    levels = await cash.database.read(lambda tx: cash.inventory.levels(tx, cash.machine_id))
    assert (levels["A1"].on_hand, levels["A1"].reserved, levels["A2"].reserved) == (0, 0, 0)
    events = [fact.body.event for fact in await cash.facts()]
    assert events.count("payment_voided") == 1
    assert events.index("order_ended") < len(events) - 1 - events[::-1].index("order_placed")


async def test_an_order_whose_coins_are_in_does_not_give_way(cash: Site) -> None:
    first = await cash.order("A1")
    sql = "INSERT INTO credit_balances (machine_id, amount_minor) VALUES (?, ?)"
    await cash.database.unit("test.coins", lambda tx: tx.run(sql, str(cash.machine_id), PRICE_MINOR))
    second = await cash.order("A2")
    first = await cash.until_state(first.order_id, OrderState.SETTLED)
    assert [vend.outcome for vend in first.vends] == [VendOutcome.DISPENSED]
    assert (await cash.orders.view(second.order_id)).due_minor == PRICE_MINOR


async def test_a_refused_order_ends_no_other(cash: Site) -> None:
    first = await cash.order("A1")
    await cash.move_stock("A2", -10, Reason.ADJUST)
    with pytest.raises(Refused):
        await cash.order("A2")
    assert (await cash.orders.view(first.order_id)).state is OrderState.PLACED


async def test_cancelling_an_unpaid_order_takes_nothing(cash: Site) -> None:
    view = await cash.order("A1", "A2")
    view = await cash.orders.cancel(view.order_id)
    assert view.state is OrderState.CANCELLED
    assert (await cash.orders.cancel(view.order_id)).state is OrderState.CANCELLED


async def test_cancelling_what_runs_stops_only_the_rest(free: Site) -> None:
    free.device.slow = True
    view = await free.order("A1", "A2")
    await free.until(view.order_id, started(0))
    await free.device.start()
    await free.orders.cancel(view.order_id)
    await free.device.turn()
    view = await free.until_state(view.order_id, OrderState.SETTLED)
    assert [vend.outcome for vend in view.vends] == [VendOutcome.DISPENSED, VendOutcome.CANCELLED]


async def test_a_deaf_device_gets_a_cancel_and_the_money_goes_back_after_lapse(cash: Site) -> None:
    await cash.device.insert_coin(PRICE_MINOR)
    await cash.settle()
    cash.device.deaf = True
    view = await cash.order("A1")
    await cash.settle()
    cash.clock.step(ANSWER_WITHIN_S)
    await cash.settle()
    assert (await cash.orders.view(view.order_id)).given_back_minor == 0
    cash.clock.step(LAPSE_S)
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.AMBIGUOUS
    assert await cash.credit() == PRICE_MINOR


async def test_an_overdue_vend_the_device_never_saw_is_cancelled_for_certain(cash: Site) -> None:
    await cash.device.insert_coin(PRICE_MINOR)
    await cash.settle()
    cash.device.deaf = True
    view = await cash.order("A1")
    await cash.settle()
    cash.device.deaf = False
    cash.clock.step(ANSWER_WITHIN_S)
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.CANCELLED
    assert cash.device.starts == {}
    assert await cash.credit() == PRICE_MINOR


@pytest.mark.parametrize(("home", "outcome"), [(True, VendOutcome.NOT_STARTED), (False, VendOutcome.AMBIGUOUS)])
async def test_power_lost_in_mid_vend_is_settled_by_evidence(cash: Site, home: bool, outcome: VendOutcome) -> None:
    cash.device.slow = True
    await cash.device.insert_coin(PRICE_MINOR)
    view = await cash.order("A1")
    await cash.until(view.order_id, started(0))
    await cash.device.start()
    cash.disconnect()
    cash.log_in()
    await cash.device.reboot(home)
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is outcome
    assert await cash.credit() == PRICE_MINOR
    assert set(cash.device.starts.values()) == {1}


async def test_proof_of_a_drop_after_the_money_went_back_is_booked_and_not_charged(cash: Site) -> None:
    cash.device.slow = True
    await cash.device.insert_coin(PRICE_MINOR)
    view = await cash.order("A1")
    await cash.until(view.order_id, started(0))
    cash.disconnect()
    cash.clock.step(LAPSE_S)
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.AMBIGUOUS
    assert await cash.stock("A1") == 10
    await cash.device.turn()
    await cash.device.report_open()
    await cash.settle()
    assert (await cash.stock("A1"), await cash.credit()) == (9, PRICE_MINOR)
    events = [fact.body.event for fact in await cash.facts()]
    assert events.count("vend_dispensed_unpaid") == 1


async def test_a_device_that_never_gets_done_does_not_keep_the_money(cash: Site) -> None:
    cash.device.slow = True
    await cash.device.insert_coin(PRICE_MINOR)
    view = await cash.order("A1")
    await cash.until(view.order_id, started(0))
    for _ in range(3):  # 75 s, and never LAPSE_S without a word
        cash.clock.step(LAPSE_S - 5)
        cash.watch.touch([LINKS_KEY])
        await cash.settle()
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.AMBIGUOUS
    assert await cash.credit() == PRICE_MINOR
    assert "query" in cash.device.heard


async def test_a_swapped_device_never_gets_the_benefit_of_the_doubt(cash: Site) -> None:
    await cash.device.insert_coin(2 * PRICE_MINOR)
    view = await cash.order("A1")
    await cash.until_state(view.order_id, OrderState.SETTLED)
    cash.device.slow = True
    view = await cash.order("A2")
    await cash.until(view.order_id, started(0))
    cash.device.wipe()
    cash.log_in()
    await cash.device.hello()
    view = await cash.until_state(view.order_id, OrderState.SETTLED)
    assert view.vends[0].outcome is VendOutcome.AMBIGUOUS
    assert await cash.credit() == PRICE_MINOR


async def test_a_device_ahead_of_a_restored_ledger_gets_a_new_epoch(free: Site) -> None:
    view = await free.order("A1")
    await free.until_state(view.order_id, OrderState.SETTLED)
    await free.database.unit("test.rewind", lambda tx: tx.run("UPDATE devices SET seq = 0"))
    await free.connect()
    await free.settle()
    view = await free.order("A1")
    await free.until_state(view.order_id, OrderState.SETTLED)
    assert free.device.journal.highest == (2, 1)
    assert len(free.device.starts) == 2
