"""A statement that was sent: the work goes on beside it, and all ends as if it had waited."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from cloud.clock import new_id
from cloud.database import Database, Transaction
from cloud.errors import FactRefused, Unavailable
from cloud.failpoints import Failpoints

INSERT = "INSERT INTO tenants (tenant_id, name) VALUES ($1, 'T')"


async def tenants(database: Database, tenant_id: UUID) -> int:
    async def count(transaction: Transaction) -> int:
        return len(await transaction.fetch("SELECT FROM tenants"))

    return await database.unit("test", count, tenant_id=tenant_id)


async def test_the_work_goes_on_while_the_server_sleeps(database: Database) -> None:
    order: list[str] = []

    async def work(transaction: Transaction) -> None:
        await transaction.send("SELECT pg_sleep(0.1)")
        order.append("thought")
        await transaction.fetch("SELECT 1")
        order.append("asked")

    await database.unit("test", work, tenant_id=new_id())
    assert order == ["thought", "asked"]


async def test_the_last_one_sent_is_committed(database: Database) -> None:
    tenant_id = new_id()

    async def work(transaction: Transaction) -> None:
        await transaction.send(INSERT, tenant_id)

    await database.unit("test", work, tenant_id=tenant_id)
    assert await tenants(database, tenant_id) == 1


@pytest.mark.parametrize("refuse", [False, True])
async def test_what_it_raises_undoes_the_unit_even_when_the_work_failed_later(database: Database, refuse: bool) -> None:
    tenant_id = new_id()

    async def work(transaction: Transaction) -> None:
        await transaction.send(INSERT, tenant_id)
        await transaction.send(INSERT, tenant_id)
        if refuse:
            raise FactRefused("thought of meanwhile")

    with pytest.raises(asyncpg.UniqueViolationError):
        await database.unit("test", work, tenant_id=tenant_id)
    assert await tenants(database, tenant_id) == 0


async def test_a_refusal_while_it_runs_undoes_it(database: Database) -> None:
    tenant_id = new_id()

    async def work(transaction: Transaction) -> None:
        await transaction.send(INSERT, tenant_id)
        raise FactRefused("thought of meanwhile")

    with pytest.raises(FactRefused):
        await database.unit("test", work, tenant_id=tenant_id)
    assert await tenants(database, tenant_id) == 0


async def test_a_savepoint_keeps_its_failure_to_itself(database: Database) -> None:
    tenant_id = new_id()

    async def work(transaction: Transaction) -> None:
        await transaction.send(INSERT, tenant_id)
        with pytest.raises(asyncpg.UniqueViolationError):
            async with transaction.savepoint():
                await transaction.send(INSERT, tenant_id)
        await transaction.send("UPDATE tenants SET name = 'U'")

    await database.unit("test", work, tenant_id=tenant_id)
    assert await tenants(database, tenant_id) == 1


async def test_one_that_outlasts_its_unit_costs_no_connection(database_url: str) -> None:
    database = Database(database_url, Failpoints(), pool_size=1, unit_seconds=0.2)
    await database.open()

    async def work(transaction: Transaction) -> None:
        await transaction.send("SELECT pg_sleep(5)")

    async with asyncio.timeout(4):
        with pytest.raises(Unavailable):
            await database.unit("test", work, tenant_id=new_id())
        assert await tenants(database, new_id()) == 0
    await database.close()
