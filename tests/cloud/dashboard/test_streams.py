"""The stream behind the orders page: nothing is lost between two looks, and nobody looks too often."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from cloud.dashboard.streams import Streams
from cloud.database import Transaction
from cloud.errors import Refused
from cloud.watch import Watch
from tests.cloud.conftest import World

PAUSE = 0.3


@pytest.fixture
async def watch(database_url: str) -> AsyncIterator[Watch]:
    watching = Watch(database_url)
    task = asyncio.create_task(watching.run(), name="watch")
    yield watching
    task.cancel()


async def holds() -> bool:
    return True


async def move(world: World, watch: Watch) -> None:
    """Ring, and return when it was heard."""

    async def work(transaction: Transaction) -> None:
        await transaction.ring("orders", world.tenant_id)

    with watch.on("orders", world.tenant_id) as heard:
        async with asyncio.timeout(10):
            while not heard.is_set():  # the watch may not be listening yet
                await world.do(work)
                await asyncio.sleep(0.05)


async def test_what_moves_while_a_page_looks_is_told_next(world: World, watch: Watch) -> None:
    lines = Streams(watch, asyncio.Event(), pause=PAUSE).follow(world.tenant_id, holds)
    async with asyncio.timeout(10):  # shorter than a heartbeat
        assert b"retry" in await anext(lines)
        first = asyncio.ensure_future(anext(lines))
        await move(world, watch)
        assert b"moved" in await first
        await move(world, watch)
        assert b"moved" in await anext(lines)


async def test_many_moves_are_told_as_one(world: World, watch: Watch) -> None:
    asked = 0

    async def counting() -> bool:
        nonlocal asked
        asked += 1
        return True

    lines = Streams(watch, asyncio.Event(), pause=PAUSE).follow(world.tenant_id, counting)
    assert b"retry" in await anext(lines)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    reading = asyncio.ensure_future(_read(lines))
    for _ in range(30):
        await move(world, watch)
    reading.cancel()
    assert asked <= 2 + (loop.time() - begun) / PAUSE


async def _read(lines: AsyncIterator[bytes]) -> None:
    async for _ in lines:
        pass


async def test_streams_are_counted_from_when_they_are_asked_for() -> None:
    streams = Streams(Watch(""), asyncio.Event(), limit=2)
    begun, never_begun = (streams.follow(UUID(int=1), holds) for _ in range(2))
    await anext(begun)
    with pytest.raises(Refused) as full:
        streams.follow(UUID(int=1), holds)
    assert full.value.status == 503
    del never_begun
    streams.follow(UUID(int=1), holds)


async def test_draining_ends_it_at_once() -> None:
    draining = asyncio.Event()
    lines = Streams(Watch(""), draining, pause=60).follow(UUID(int=1), holds)
    assert b"retry" in await anext(lines)
    draining.set()
    assert [line async for line in lines] == []
