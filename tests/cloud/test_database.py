"""The unit of work: one transaction, one tenant, a shield."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from cloud.callers import system
from cloud.clock import new_id
from cloud.database import Database, Transaction, credentials
from cloud.errors import Unavailable
from cloud.failpoints import Failpoints
from cloud.onboarding.models import Tenant
from cloud.onboarding.service import create_tenant
from tests.cloud.conftest import Server
from tests.fakes.dead_line import DeadLine

ADD = "UPDATE sites SET last_change = last_change + 1 RETURNING last_change"


async def make_site(database: Database) -> tuple[UUID, UUID]:
    tenant_id, site_id = new_id(), new_id()

    async def work(transaction: Transaction) -> None:
        await create_tenant(transaction, system("test"), tenant_id, "T")
        await transaction.execute(
            "INSERT INTO sites (tenant_id, id, name, currency) VALUES ($1, $2, 'S', 'INR')", tenant_id, site_id
        )

    await database.unit("test", work, tenant_id=tenant_id)
    return tenant_id, site_id


@pytest.mark.criterion("2.2")
async def test_what_fails_leaves_nothing_behind(database: Database) -> None:
    tenant_id = new_id()

    async def work(transaction: Transaction) -> None:
        await create_tenant(transaction, system("test"), tenant_id, "T")
        await transaction.execute("INSERT INTO tenants (tenant_id, name) VALUES ($1, 'T')", tenant_id)

    with pytest.raises(asyncpg.UniqueViolationError):
        await database.unit("test", work, tenant_id=tenant_id)

    async def count(_: Transaction) -> int:
        return await Tenant.all().count()

    assert await database.unit("test", count, tenant_id=tenant_id) == 0


@pytest.mark.criterion("2.1")
async def test_writers_at_the_same_time_lose_nothing(database: Database) -> None:
    tenant_id, _ = await make_site(database)

    async def add(transaction: Transaction) -> None:
        await transaction.fetch(ADD)

    await asyncio.gather(*(database.unit("test", add, tenant_id=tenant_id) for _ in range(100)))

    async def read(transaction: Transaction) -> int:
        row = await transaction.fetch_one("SELECT last_change FROM sites")
        assert row is not None
        return int(row["last_change"])

    assert await database.unit("test", read, tenant_id=tenant_id) == 100


async def test_a_caller_that_leaves_neither_stops_the_work_nor_keeps_a_connection(database_url: str) -> None:
    database = Database(database_url, Failpoints(), pool_size=2)
    await database.open()
    tenant_id, _ = await make_site(database)
    reached = asyncio.Event()

    async def slow(transaction: Transaction) -> None:
        await transaction.fetch(ADD)
        reached.set()
        await transaction.fetch("SELECT pg_sleep(0.02)")

    for _ in range(30):
        reached.clear()
        caller = asyncio.create_task(database.unit("test", slow, tenant_id=tenant_id))
        await reached.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

    async def read(transaction: Transaction) -> int:
        row = await transaction.fetch_one("SELECT last_change FROM sites FOR UPDATE")
        assert row is not None
        return int(row["last_change"])

    assert await database.unit("test", read, tenant_id=tenant_id) == 30
    await database.close()


async def test_deadlocks_are_tried_again(database: Database) -> None:
    (tenant_id, first), second = await make_site(database), new_id()

    async def another(transaction: Transaction) -> None:
        await transaction.execute(
            "INSERT INTO sites (tenant_id, id, name, currency) VALUES ($1, $2, 'S', 'INR')", tenant_id, second
        )

    await database.unit("test", another, tenant_id=tenant_id)
    both = asyncio.Barrier(2)

    async def lock(transaction: Transaction, order: tuple[UUID, UUID], *, meet: bool) -> None:
        for place, site_id in enumerate(order):
            await transaction.execute("UPDATE sites SET last_change = last_change + 1 WHERE id = $1", site_id)
            if place == 0 and meet:
                await both.wait()

    async def run(order: tuple[UUID, UUID]) -> int:
        tries = 0

        async def work(transaction: Transaction) -> None:
            nonlocal tries
            tries += 1
            await lock(transaction, order, meet=tries == 1)

        await database.unit("test", work, tenant_id=tenant_id)
        return tries

    async with asyncio.timeout(20):
        tries = await asyncio.gather(run((first, second)), run((second, first)))
    assert sorted(tries) == [1, 2]


async def test_one_tenant_never_sees_or_makes_rows_of_another(database: Database) -> None:
    mine, _ = await make_site(database)
    theirs, their_site = await make_site(database)

    async def look(transaction: Transaction) -> list[UUID]:
        return [row["tenant_id"] for row in await transaction.fetch("SELECT tenant_id FROM sites")]

    assert await database.unit("test", look, tenant_id=mine) == [mine]
    assert await database.unit("test", look) == []

    async def intrude(transaction: Transaction) -> None:
        await transaction.execute(
            "INSERT INTO sites (tenant_id, id, name, currency) VALUES ($1, $2, 'S', 'INR')", theirs, new_id()
        )

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.unit("test", intrude, tenant_id=mine)

    async def refer(transaction: Transaction) -> None:
        await transaction.execute(
            "INSERT INTO machines (tenant_id, id, site_id, name, rail) VALUES ($1, $2, $3, 'M', 'free')",
            mine,
            new_id(),
            their_site,
        )

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await database.unit("test", refer, tenant_id=mine)


async def test_a_unit_inside_a_unit_is_a_mistake(database: Database) -> None:
    async def inner(_: Transaction) -> None: ...

    async def outer(_: Transaction) -> None:
        await database.unit("inner", inner)

    with pytest.raises(RuntimeError, match="inside another unit"):
        await database.unit("outer", outer)


async def test_a_lost_connection_is_told_as_such_and_replaced(server: Server, database_url: str) -> None:
    database = Database(database_url, Failpoints(), pool_size=2)
    await database.open()

    async def ask(transaction: Transaction) -> int:
        return len(await transaction.fetch("SELECT 1"))

    assert await database.unit("test", ask) == 1

    async def die(transaction: Transaction) -> None:
        row = await transaction.fetch_one("SELECT pg_backend_pid() AS pid")
        assert row is not None
        await server.administer(f"SELECT pg_terminate_backend({row['pid']})")
        await transaction.fetch("SELECT 1")

    for _ in range(5):
        with pytest.raises(Unavailable):
            await database.unit("test", die)
    assert await database.unit("test", ask) == 1
    await database.close()


async def test_nothing_listens_is_told_as_such() -> None:
    database = Database("postgresql://larder_owner@127.0.0.1:9/larder", Failpoints())
    await database.open()

    async def ask(transaction: Transaction) -> None:
        await transaction.fetch("SELECT 1")

    with pytest.raises(Unavailable):
        await database.unit("test", ask)
    await database.close()


async def ask(transaction: Transaction) -> None:
    await transaction.fetch("SELECT 1")


@pytest.fixture
async def line(server: Server, database_url: str) -> AsyncIterator[DeadLine]:
    found = credentials(database_url)
    async with DeadLine(f"{found['host']}/.s.PGSQL.{found['port']}").listening(found) as opened:
        yield opened


async def test_a_line_that_falls_dead_costs_one_unit_and_not_the_pool(line: DeadLine) -> None:
    database = Database(line.url, Failpoints(), pool_size=2, unit_seconds=0.5)
    await database.open()

    async def fall(transaction: Transaction) -> None:
        line.freeze()
        await transaction.fetch("SELECT 1")

    async with asyncio.timeout(20):
        for _ in range(5):
            with pytest.raises(Unavailable):
                await database.unit("test", fall)
        await database.unit("test", ask)
        await database.close()


async def test_closing_does_not_wait_for_a_dead_line(line: DeadLine) -> None:
    database = Database(line.url, Failpoints())
    await database.open()
    await database.unit("test", ask)
    line.freeze()
    async with asyncio.timeout(4):
        await database.close()


@pytest.mark.lab
async def test_closing_drops_work_on_a_dead_line(line: DeadLine) -> None:
    database = Database(line.url, Failpoints(), unit_seconds=60)
    await database.open()
    await database.unit("test", ask)
    line.freeze()
    waiting = asyncio.create_task(database.unit("test", ask))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        await database.close()
    with pytest.raises((Unavailable, asyncio.CancelledError)):
        await waiting


@pytest.mark.lab
async def test_a_busy_pool_is_told_soon(database_url: str) -> None:
    database = Database(database_url, Failpoints(), pool_size=1)
    await database.open()
    free = asyncio.Event()

    async def hold(_: Transaction) -> None:
        await free.wait()

    holder = asyncio.create_task(database.unit("test", hold))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable):
            await database.unit("test", ask)
    free.set()
    await holder
    await database.close()
