"""A database that has sold for a while comes to this version's schema with all it has."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cloud import schema
from cloud.clock import new_id
from cloud.database import Database, credentials
from cloud.encryption.columns import INSTRUCTION_PIN, SETTINGS_TEXT
from cloud.encryption.rotation import Rotation
from cloud.failpoints import Failpoints
from tests.cloud.conftest import Server
from tests.fakes.encryption_keys import keyring
from tests.fakes.postgres_cloud import tenant_rows

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

PLAIN = """
    INSERT INTO tenants (tenant_id, name) VALUES ($1, 'T');
    INSERT INTO sites (tenant_id, id, name, currency, last_change) VALUES ($1, $1, 'S', 'INR', 7);
    INSERT INTO machines (tenant_id, id, site_id, name, rail) VALUES ($1, $1, $1, 'M', 'cash');
    INSERT INTO devices (tenant_id, id, machine_id, name, claim_issued_at, claim_code_sha256, claim_expires_at)
        VALUES ($1, $1, $1, 'D', now(), '', now());
    INSERT INTO api_keys (tenant_id, id, name, prefix, secret_sha256, expires_at)
        VALUES ($1, $1, 'K', '', $1::uuid::text, now());
    INSERT INTO device_instructions
            (tenant_id, id, device_id, idempotency_key, action, slot, pin, asked_by, asked_at, expires_at)
        VALUES ($1, $1, $1, $1, 'jog', 'A1', '48151623', $1, now(), now());
    INSERT INTO device_settings (tenant_id, device_id, version, signed, digest, assigned_by, assigned_at)
        VALUES ($1, $1, 1, 'plain', encode(sha256('plain'), 'hex'), $1, now());
    INSERT INTO changes (tenant_id, site_id, number, body) VALUES ($1, $1, 7, '{"kind": "machine_version"}')
"""
TOLD = """INSERT INTO changes (tenant_id, site_id, number, body) VALUES ($1, $1, 6, '{"kind": "settings_assigned"}')"""


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


async def test_what_stood_in_plain_is_encrypted_and_told_no_more(empty_url: str, server: Server) -> None:
    await schema.migrate(empty_url, up_to="0009_told_releases")
    connection = await asyncpg.connect(**credentials(empty_url))
    for tenant_id in TENANTS:
        await become(connection, tenant_id)
        for statement in PLAIN.split(";"):
            await connection.execute(statement, tenant_id)
    await connection.execute(TOLD, TENANTS[1])
    await connection.close()
    await schema.migrate(empty_url)
    database = Database(server.url(credentials(empty_url)["database"]), Failpoints(), pool_size=2)
    await database.open()
    try:
        await Rotation(database, keyring()).begin()
        for tenant_id, told in zip(TENANTS, (1, 0), strict=True):
            (row,) = await tenant_rows(database, tenant_id, "SELECT tenant_id, id, pin FROM device_instructions")
            assert INSTRUCTION_PIN.open(keyring(), (tenant_id, row["id"]), row["pin"]) == "48151623"
            (row,) = await tenant_rows(database, tenant_id, "SELECT * FROM device_settings")
            assert SETTINGS_TEXT.open(keyring(), (tenant_id, row["device_id"], 1), row["signed"]) == "plain"
            assert len(await tenant_rows(database, tenant_id, "SELECT 1 FROM changes")) == told
            (site,) = await tenant_rows(database, tenant_id, "SELECT pruned_change, last_change FROM sites")
            assert (site["pruned_change"], site["last_change"]) == (0 if told else 7, 7)
            assert await tenant_rows(database, tenant_id, "SELECT number FROM audit_chains") == [{"number": 0}]
    finally:
        await database.close()


INVITED = """
    INSERT INTO tenants (tenant_id, name) VALUES ($1, 'T');
    INSERT INTO actors (tenant_id, id, kind, name) VALUES ($1, $1, 'user', 'Ada');
    INSERT INTO invitations (tenant_id, id, email, email_key, role, secret_sha256, invited_by, created_at, expires_at)
        SELECT $1, id, id::text, id::text, 'viewer', id::text, 'Ada', now(), now()
        FROM unnest(ARRAY[$1, $2]::uuid[]) id;
    INSERT INTO audit_entries (tenant_id, number, at, actor_kind, actor_id, actor_name, action, subject_kind,
                               subject_id, request_id, address, hash)
        VALUES ($1, 1, now(), 'user', $1, 'Ada', 'user_invited', 'invitation', $1::uuid::text, '', '', '')
"""


async def test_the_audit_log_says_who_has_invited_whom(empty_url: str) -> None:
    await schema.migrate(empty_url, up_to="0014_kept_answers")
    connection = await asyncpg.connect(**credentials(empty_url))
    unknown = new_id()
    await become(connection, TENANTS[0])
    for statement in INVITED.split(";"):
        await connection.execute(statement, *(TENANTS[0], unknown)[: 1 + ("$2" in statement)])
    await schema.migrate(empty_url)
    rows = await connection.fetch("SELECT id, inviter_id FROM invitations")
    assert {row["id"]: row["inviter_id"] for row in rows} == {TENANTS[0]: TENANTS[0], unknown: None}
    await connection.close()


HOOKED = """
    INSERT INTO tenants (tenant_id, name) VALUES ($1, 'T');
    INSERT INTO actors (tenant_id, id, kind, name) VALUES ($1, $1, 'user', 'Ada');
    INSERT INTO webhook_endpoints (tenant_id, id, url, description, events, state, secret, since, created_at)
        SELECT $1, id, 'https://erp.example.com', '', '{}', 'enabled', 'test.gAAAA', now(), now()
        FROM unnest(ARRAY[$1, $2]::uuid[]) id;
    INSERT INTO audit_entries (tenant_id, number, at, actor_kind, actor_id, actor_name, action, subject_kind,
                               subject_id, request_id, address, hash)
        VALUES ($1, 1, now(), 'user', $1, 'Ada', 'webhook_created', 'webhook', $1::uuid::text, '', '', '')
"""


async def test_the_audit_log_says_who_has_made_which_webhook(empty_url: str) -> None:
    await schema.migrate(empty_url, up_to="0020_webhook_work")
    connection = await asyncpg.connect(**credentials(empty_url))
    unknown = new_id()
    await become(connection, TENANTS[0])
    for statement in HOOKED.split(";"):
        await connection.execute(statement, *(TENANTS[0], unknown)[: 1 + ("$2" in statement)])
    await schema.migrate(empty_url)
    rows = await connection.fetch("SELECT id, created_by FROM webhook_endpoints")
    assert {row["id"]: row["created_by"] for row in rows} == {TENANTS[0]: TENANTS[0], unknown: None}
    await connection.close()


SOLD = """
    INSERT INTO tenants (tenant_id, name) VALUES ($1, 'T');
    INSERT INTO sites (tenant_id, id, name, currency) VALUES ($1, $1, 'S', 'INR');
    INSERT INTO gateways (tenant_id, id, site_id, name, epoch, seq) VALUES ($1, $1, $1, 'G', 1, 3);
    INSERT INTO machines (tenant_id, id, site_id, name, rail) VALUES ($1, $1, $1, 'M', 'cash');
    INSERT INTO devices (tenant_id, id, machine_id, name, claim_issued_at, claim_code_sha256, claim_expires_at)
        VALUES ($1, $1, $1, 'D', now(), '', now());
    INSERT INTO products (tenant_id, id, name) VALUES ($1, $1, 'Peanuts');
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, state,
                        captured_minor, given_back_minor, placed_at)
        SELECT $1, id, $1, 'cash', 'INR', 5000, 1, 'settled', 3000, 2000, '2026-02-03T04:05:06Z'
        FROM unnest($2::uuid[]) AS id;
    INSERT INTO vends (tenant_id, id, order_id, position, state, outcome, slot, product_id, product_name, price_minor)
        SELECT $1, id, id, 1, 'done', 'dispensed', 'A1', $1, 'Peanuts', 3000 FROM unnest($2::uuid[]) AS id;
    INSERT INTO payments (tenant_id, id, order_id, rail, currency, amount_minor, state, attempted_at)
        SELECT $1, id, id, 'cash', 'INR', 5000, 'pending', now() FROM unnest($2::uuid[]) AS id;
    INSERT INTO credits (tenant_id, id, machine_id, device_id, amount_minor, currency, at)
        SELECT $1, id, $1, $1, 5000, 'INR', now() FROM unnest($2::uuid[]) AS id;
    INSERT INTO stock_movements (tenant_id, id, machine_id, slot, delta, reason, vend_id, at)
        SELECT $1, id, $1, 'A1', -1, 'vend', id, now() FROM unnest($2::uuid[]) AS id;
    INSERT INTO facts (tenant_id, gateway_id, epoch, seq, event, line, hash, received_at)
        SELECT $1, $1, 1, seq, 'fact', 'line', 'hash', now() - seq * interval '40 days'
        FROM generate_series(1, cardinality($2::uuid[])) AS seq;
    INSERT INTO dead_letters (tenant_id, gateway_id, epoch, seq, reason, tries) VALUES ($1, $1, 1, 2, 'poison', 3)
"""
IDS = [
    UUID(f"{ms:012x}-7000-8000-000000000001") for ms in (1_000, 1_770_000_000_000, 1_775_000_000_000, 4_070_000_000_000)
]
"""Made in 1970, February and March 2026, and 2098."""
BOOKS = ("orders", "vends", "payments", "credits", "stock_movements", "facts")
LATER = {"fulfilment": "vends", "synthetic": False, "provider_reference": None}
"""Columns that came later, and what they say of rows that were there."""


async def books(connection: asyncpg.Connection) -> dict[str, list[asyncpg.Record]]:
    """Every row of the current tenant."""
    return {table: await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4") for table in BOOKS}  # noqa: S608


def without_later(told: dict[str, list[asyncpg.Record]]) -> dict[str, list[dict[str, Any]]]:
    """The rows without LATER, of which each must say what it should."""
    assert all(row[name] == LATER[name] for rows in told.values() for row in rows for name in LATER.keys() & row.keys())
    return {table: [{k: v for k, v in row.items() if k not in LATER} for row in rows] for table, rows in told.items()}


@pytest.mark.criterion("2.5")
async def test_all_that_was_sold_lies_in_months_and_is_summed_up(empty_url: str) -> None:
    await schema.migrate(empty_url, up_to="0009_told_releases")
    connection = await asyncpg.connect(**credentials(empty_url))
    before = {}
    for tenant_id in TENANTS:
        await become(connection, tenant_id)
        for statement in SOLD.split(";"):
            await connection.execute(statement, *(tenant_id, IDS)[: 1 + ("$2" in statement)])
        before[tenant_id] = await books(connection)
    await schema.migrate(empty_url)
    for tenant_id in TENANTS:
        await become(connection, tenant_id)
        assert without_later(await books(connection)) == without_later(before[tenant_id])
        lie = await connection.fetch("SELECT tableoid::regclass::text FROM orders ORDER BY id")
        assert [row[0] for row in lie] == ["orders_other", "orders_2026_02", "orders_2026_03", "orders_other"]
        assert not await connection.fetch("SELECT FROM facts WHERE tableoid = 'facts_other'::regclass")
        dead = await connection.fetch("SELECT FROM dead_letters JOIN facts USING (gateway_id, epoch, seq, received_at)")
        assert len(dead) == 1
        sums = await connection.fetchrow("SELECT hour, orders, dispensed, captured_minor, no_drop FROM sales_hours")
        assert tuple(sums) == (datetime(2026, 2, 3, 4, tzinfo=UTC), 4, 4, 12_000, 0)
        days = await connection.fetchrow("SELECT day, orders, dispensed, given_back_minor FROM sales_days")
        assert tuple(days) == (date(2026, 2, 3), 4, 4, 8_000)
        assert tuple(await connection.fetchrow("SELECT dispensed, sold_minor FROM product_days")) == (4, 12_000)
    await connection.close()
