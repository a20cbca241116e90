"""A database that has sold for a while comes to this version's schema with all it has."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from cloud import schema
from cloud.clock import new_id
from cloud.database import credentials
from tests.cloud.conftest import Server

TENANTS = (UUID(int=1), UUID(int=2))
HISTORY = """
    INSERT INTO tenants (tenant_id, name) VALUES ($1, 'T');
    INSERT INTO sites (tenant_id, id, name, currency) VALUES ($1, $1, 'S', 'INR');
    INSERT INTO machines (tenant_id, id, site_id, name, rail) VALUES ($1, $1, $1, 'M', 'cash');
    INSERT INTO products (tenant_id, id, name) VALUES ($1, $1, 'Peanuts');
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, state, placed_at)
        VALUES ($1, $1, $1, 'cash', 'INR', 5000, 1, 'settled', now());
    INSERT INTO order_lines (tenant_id, order_id, line, slot, product_id, product_name, price_minor, quantity)
        VALUES ($1, $1, 0, 'A1', $1, 'Peanuts', 1000, 2), ($1, $1, 1, 'A2', $1, 'Old name', 3000, 1);
    INSERT INTO vends (tenant_id, id, order_id, line, state, outcome)
        SELECT $1, gen_random_uuid(), $1, line, 'done', 'dispensed' FROM unnest(ARRAY[1, 0, 0]::smallint[]) AS line
"""


@pytest.fixture
async def empty_url(server: Server) -> AsyncIterator[str]:
    """A database without a table, as its owner."""
    name = f"t{new_id().hex}"
    await server.administer(f"CREATE DATABASE {name} OWNER larder_owner")
    yield server.owner_url(name)
    await server.administer(f"DROP DATABASE {name} WITH (FORCE)")


async def become(connection: asyncpg.Connection, tenant_id: UUID) -> None:
    await connection.execute("SELECT set_config('app.tenant', $1, false)", str(tenant_id))


async def test_vends_take_over_their_products_from_the_lines_of_all_tenants(empty_url: str) -> None:
    await schema.migrate(empty_url, up_to="0001_spine")
    connection = await asyncpg.connect(**credentials(empty_url))
    for tenant_id in TENANTS:
        await become(connection, tenant_id)
        for statement in HISTORY.split(";"):
            await connection.execute(statement, tenant_id)
    await schema.migrate(empty_url)
    for tenant_id in TENANTS:
        await become(connection, tenant_id)
        rows = await connection.fetch("SELECT * FROM vends ORDER BY position")
        told = [(row["position"], row["slot"], row["product_name"], row["price_minor"]) for row in rows]
        assert told == [(0, "A1", "Peanuts", 1000), (1, "A1", "Peanuts", 1000), (2, "A2", "Old name", 3000)]
        assert {row["tenant_id"] for row in rows} == {tenant_id}
    await connection.close()
