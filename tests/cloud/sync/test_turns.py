"""Pushes of one gateway: one at a time, few in line, and nobody else waits for them."""

import asyncio

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


async def test_a_few_wait_and_the_next_is_sent_away() -> None:
    turns, gateway_id = Turns(), new_id()
    done: list[int] = []
    go = asyncio.Event()

    async def push(number: int) -> None:
        async with turns.of(gateway_id):
            await go.wait()
            done.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(1 + WAITERS):
            group.create_task(push(number))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await push(99)
        async with turns.of(new_id()):  # another gateway has its own line
            go.set()
    assert done == [0, 1, 2]
    async with turns.of(gateway_id):
        pass
