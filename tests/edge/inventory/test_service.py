"""Stock is the sum of its movements."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.clock import new_id
from edge.errors import Refused
from edge.inventory.service import stock_key
from shared.devices import StockSensed
from shared.errors import Code
from shared.inventory import Reason, SlotSensed, StockInstruction, StockMoved
from shared.orders import OrderState
from shared.topics import Channel, Topic
from tests.fakes.site import Site, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


async def sense(site: Site, empty: bool, slot: str = "A1") -> None:
    topic = Topic(site.machine_id, site.device_id, Channel.STOCK)
    await site.inventory.sense(topic, StockSensed(boot_id=new_id(), slot=slot, empty=empty))


@pytest.mark.criterion("8.3")
async def test_stock_is_the_sum_of_its_movements(site: Site) -> None:
    for delta, reason in ((5, Reason.RESTOCK), (-2, Reason.WASTE), (-1, Reason.ADJUST)):
        await site.move_stock("A1", delta, reason)
    for _ in range(3):
        view = await site.order("A1")
        await site.until_state(view.order_id, OrderState.SETTLED)
    moved = [fact.body for fact in await site.facts() if isinstance(fact.body, StockMoved) and fact.body.slot == "A1"]
    assert await site.stock("A1") == sum(movement.delta for movement in moved) == 9
    assert [movement.reason for movement in moved].count(Reason.VEND) == 3


async def test_an_instruction_seen_twice_moves_stock_once(site: Site) -> None:
    change = StockInstruction(
        movement_id=new_id(), machine_id=site.machine_id, slot="A1", delta=7, reason=Reason.RESTOCK
    )
    for _ in range(2):
        await site.database.unit("test", lambda tx: site.inventory.apply_instruction(tx, change))
    assert await site.stock("A1") == 17
    facts = [fact.body for fact in await site.facts() if isinstance(fact.body, StockMoved)]
    assert [fact.movement_id for fact in facts].count(change.movement_id) == 1


@pytest.mark.criterion("8.3")
async def test_a_slot_that_says_it_is_empty_sells_nothing_until_it_says_otherwise(site: Site) -> None:
    with site.watch.on(stock_key(site.machine_id)) as changed:
        await sense(site, empty=True)
        await site.settle()
        assert changed.is_set()
    await sense(site, empty=True)
    with pytest.raises(Refused) as refused:
        await site.order("A1")
    assert refused.value.code is Code.SOLD_OUT
    await sense(site, empty=False)
    view = await site.order("A1")
    await site.until_state(view.order_id, OrderState.SETTLED)
    told = [fact.body.empty for fact in await site.facts() if isinstance(fact.body, SlotSensed)]
    assert told == [True, False]


async def test_a_slot_that_said_it_is_empty_before_it_had_stock_is_believed(site: Site) -> None:
    await sense(site, empty=True, slot="C9")
    await site.move_stock("C9", 5, Reason.OPENING)
    levels = await site.database.read(lambda tx: site.inventory.levels(tx, site.machine_id))
    assert (levels["C9"].on_hand, levels["C9"].available) == (5, 0)


async def test_what_is_reserved_is_not_sold_twice_and_comes_back(site: Site) -> None:
    await site.move_stock("A1", -8, Reason.ADJUST)
    site.device.slow = True
    running = await site.order("A1")
    waiting = await site.order("A1")
    with pytest.raises(Refused, match="sold out"):
        await site.order("A1")
    await site.orders.cancel(waiting.order_id)
    site.device.slow = False
    await site.settle()
    await site.device.turn()
    await site.until_state(running.order_id, OrderState.SETTLED)
    levels = await site.database.read(lambda tx: site.inventory.levels(tx, site.machine_id))
    assert (levels["A1"].on_hand, levels["A1"].reserved, levels["A1"].available) == (1, 0, 1)


async def test_a_slot_nobody_ever_filled_is_sold_out(site: Site) -> None:
    with pytest.raises(Refused) as refused:
        await site.database.unit("test", lambda tx: site.inventory.reserve(tx, site.machine_id, "C9", 1))
    assert refused.value.code is Code.SOLD_OUT
