"""Token buckets: whatever the processes and their interleaving, no more is granted than the bucket held and got."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from cloud.clock import new_id
from cloud.database import APP_ROLE, Database, credentials
from cloud.errors import Unavailable
from cloud.failpoints import Failpoints
from cloud.limits import BLOCK_SECONDS, Bucket, Limits
from cloud.rates import Rate

SLOW = Rate(20, 86_400)
"""Nothing comes back while a test runs."""


def bucket(rate: Rate) -> Bucket:
    return Bucket("test", new_id().hex, rate)


@asynccontextmanager
async def processes(url: str, count: int) -> AsyncIterator[list[Limits]]:
    """So many that share nothing but the database."""
    opened = [Database(url, Failpoints(), pool_size=2) for _ in range(count)]
    for database in opened:
        await database.open()
    try:
        yield [Limits(database) for database in opened]
    finally:
        for database in opened:
            await database.close()


async def granted(limits: Limits, bucket: Bucket, cost: int = 1) -> bool:
    return (await limits.take(bucket, cost)).allowed


@pytest.mark.criterion("5.3")
async def test_a_bucket_grants_what_it_holds_and_says_when_there_is_more(database: Database) -> None:
    limits, few = Limits(database), bucket(Rate(3, 60))
    decisions = [await limits.take(few) for _ in range(5)]
    assert [decision.allowed for decision in decisions] == [True, True, True, False, False]
    assert [decision.remaining for decision in decisions] == [2, 1, 0, 0, 0]
    assert [decision.retry_after_s for decision in decisions[:3]] == [0, 0, 0]
    assert 0 < decisions[3].retry_after_s <= 20
    assert 40 < decisions[3].reset_s <= 60
    assert (await limits.take(bucket(Rate(3, 60)))).allowed, "another key is another bucket"


async def test_what_comes_back_is_granted_again(database: Database) -> None:
    limits, quick = Limits(database), bucket(Rate(2, 1))
    while await granted(limits, quick):
        pass
    decision = await limits.take(quick)
    await asyncio.sleep(0.51)
    assert (decision.allowed, await granted(limits, quick)) == (False, True)


async def test_what_costs_more_takes_all_or_nothing(database: Database) -> None:
    limits, few = Limits(database), bucket(Rate(10, 86_400))
    assert [await granted(limits, few, cost) for cost in (7, 4, 3, 1)] == [True, False, True, False]


@pytest.mark.criterion("5.3")
@pytest.mark.parametrize("seed", [1, None])
async def test_processes_together_grant_no_more_than_the_bucket(database_url: str, seed: int | None) -> None:
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    print(f"seed {seed}")
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()
    rate = Rate(chance.randrange(20, 120), chance.choice([1, 5, 86_400]))
    shared, grants = bucket(rate), list[float]()
    async with processes(database_url, chance.randrange(2, 5)) as several:
        begun = loop.time()

        async def client(limits: Limits, pauses: list[float]) -> None:
            for pause in pauses:
                cost = chance.choice([1, 1, 1, 3])
                if await granted(limits, shared, cost):
                    grants.extend([loop.time()] * cost)
                await asyncio.sleep(pause)

        await asyncio.gather(
            *(
                client(limits, [chance.choice([0, 0, 0.002, 0.01]) for _ in range(40)])
                for limits in several
                for _ in range(4)
            )
        )
        passed = loop.time() - begun
    assert len(grants) >= rate.capacity * 0.9, "the bucket was worth nothing"
    assert len(grants) <= rate.capacity + rate.per_s * passed
    for index, since in enumerate(grants):
        until = grants[-1] - since
        assert len(grants) - index <= rate.capacity + rate.per_s * (until + BLOCK_SECONDS) + 1


async def test_a_process_that_is_asked_seldom_takes_nothing_ahead(database: Database) -> None:
    """What a process takes ahead and does not use is lost to the others."""
    shared = bucket(Rate(50, 86_400))
    assert all([await granted(Limits(database), shared) for _ in range(50)]), "each in a process of its own"
    assert not await granted(Limits(database), shared)


class Counted(Database):
    """A database that counts its units of work."""

    units = 0

    async def unit(self, *arguments: Any, **settings: Any) -> Any:
        self.units += 1
        return await super().unit(*arguments, **settings)


async def test_a_process_asked_often_asks_the_database_seldom(database_url: str) -> None:
    counted = Counted(database_url, Failpoints(), pool_size=1)
    await counted.open()
    limits, busy, empty = Limits(counted), bucket(Rate(10_000, 60)), bucket(SLOW)
    assert all([await granted(limits, busy) for _ in range(1_000)])
    assert counted.units < 60
    while await granted(limits, empty):
        pass
    asked = counted.units
    assert not any([await granted(limits, empty) for _ in range(1_000)])
    assert counted.units == asked, "nothing can have come back yet"
    await counted.close()


async def test_without_postgres_nothing_is_granted() -> None:
    async with processes("postgresql://larder_app@127.0.0.1:9/larder", 1) as (limits,):
        few = bucket(SLOW)
        answers = await asyncio.gather(*(limits.take(few) for _ in range(5)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable] * 5


async def test_full_buckets_are_cleared_away(database: Database, owner_url: str) -> None:
    limits = Limits(database)
    for _ in range(5):
        await limits.take(bucket(Rate(1_000_000, 1)))
    lasting = bucket(SLOW)
    await limits.take(lasting)
    owner = await asyncpg.connect(**credentials(owner_url))
    try:
        async with asyncio.timeout(20):
            while await owner.fetchval("SELECT count(*) FROM token_buckets WHERE key <> $1", f"test {lasting.key}") > 1:
                await owner.execute("SELECT take_tokens('another', 1000000, 1000000, 1, 1)")
        assert await owner.fetchval("SELECT level FROM token_buckets WHERE key = $1", f"test {lasting.key}") == 19
    finally:
        await owner.close()


async def test_the_application_reaches_buckets_through_the_function_alone(database_url: str) -> None:
    connection = await asyncpg.connect(**credentials(database_url), server_settings={"role": APP_ROLE})
    try:
        for attempt in (
            "SELECT * FROM token_buckets",
            "DELETE FROM token_buckets",
            "UPDATE token_buckets SET level = 9",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(attempt)
    finally:
        await connection.close()
