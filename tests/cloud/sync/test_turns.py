"""Pushes of one gateway: one at a time, few in line, and nobody else waits for them."""

import asyncio
import random

import pytest

from cloud.clock import new_id
from cloud.database import Transaction
from cloud.errors import Unavailable
from cloud.sync.turns import WAITERS, Turns
from shared.inventory import Reason
from tests.cloud.conftest import World


async def test_a_gateway_whose_row_is_locked_leaves_the_pool_to_others(world: World) -> None:
    world.gateway.move(await world.slot(), 1, Reason.RESTOCK)
    locked, told = asyncio.Event(), asyncio.Event()

    async def hold(transaction: Transaction) -> None:
        await transaction.fetch("SELECT id FROM gateways FOR UPDATE")
        locked.set()
        await told.wait()

    holding = asyncio.create_task(world.do(hold))
    await locked.wait()
    pushes = [asyncio.create_task(world.push()) for _ in range(12)]
    async with asyncio.timeout(4):  # a connection that waited for the row would do so for 5 s
        answers = await asyncio.gather(*pushes)
        others = await world.client.get("/v1/orders", headers=world.operator)
    told.set()
    await holding
    assert others.status_code == 200
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in answers} == {(503, "2")}
    assert (await world.acknowledged()).seq == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_overlapping_pushes_at_once_count_each_fact_once(world: World, seed: int) -> None:
    print("seed", seed)
    rng, gateway, slot = random.Random(seed), world.gateway, await world.slot()
    gateway.move(slot, 100, Reason.OPENING)
    for _ in range(12):
        gateway.sell(slot)
    total = len(gateway.lines)

    async def push_somewhere() -> int:
        first = rng.randrange(1, total)
        return (await world.push(rng.choice([1, first]), rng.randrange(1, total))).status_code

    statuses: set[int] = set()
    for _ in range(6):
        statuses |= set(await asyncio.gather(*(push_somewhere() for _ in range(4))))
    assert statuses <= {200, 503}
    assert (await world.acknowledged()).seq == total
    (row,) = await world.rows(
        "SELECT (SELECT count(*) FROM facts) AS facts, (SELECT count(*) FROM orders) AS orders,"
        " (SELECT sum(captured_minor) FROM payments) AS captured, (SELECT quantity FROM stock) AS stock,"
        " (SELECT count(*) FROM dead_letters) + (SELECT count(*) FROM fact_conflicts) AS refused"
    )
    assert row == {"facts": total, "orders": 12, "captured": 12 * slot.price_minor, "stock": 88, "refused": 0}


async def test_a_few_wait_and_the_next_is_sent_away() -> None:
    turns, gateway_id = Turns(), new_id()
    done: list[int] = []
    go = asyncio.Event()

    async def push(number: int) -> None:
        async def work() -> None:
            await go.wait()
            done.append(number)

        await turns.run(gateway_id, work)

    async def set_go() -> None:
        go.set()

    async with asyncio.TaskGroup() as group:
        for number in range(1 + WAITERS):
            group.create_task(push(number))
        await asyncio.sleep(0.01)
        with pytest.raises(Unavailable):
            await push(99)
        await turns.run(new_id(), set_go)  # another gateway has its own line
    assert done == [0, 1, 2]
    await push(3)


async def test_who_leaves_keeps_the_turn_until_the_work_is_done() -> None:
    turns, gateway_id = Turns(), new_id()
    order: list[str] = []
    go = asyncio.Event()

    async def first() -> None:
        await go.wait()
        order.append("first")

    async def second() -> None:
        order.append("second")

    leaving = asyncio.create_task(turns.run(gateway_id, first))
    await asyncio.sleep(0.01)
    leaving.cancel()
    waiting = asyncio.create_task(turns.run(gateway_id, second))
    await asyncio.sleep(0.01)
    assert order == []
    go.set()
    await waiting
    assert order == ["first", "second"]
