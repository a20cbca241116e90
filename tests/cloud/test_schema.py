"""The database's own walls and indexes, read from Postgres' catalogue."""

import asyncio

import asyncpg
import pytest

from cloud import schema
from cloud.clock import new_id
from cloud.database import APP_ROLE, Database, Transaction, credentials
from shared.inventory import Reason
from tests.cloud.conftest import Server, World

TABLES = """
    SELECT c.relname AS name, c.relrowsecurity AS walled, c.relforcerowsecurity AS forced,
           c.relowner::regrole::text AS owner, c.relispartition AS is_partition,
           has_any_column_privilege('larder_app', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
               OR has_table_privilege('larder_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') AS reachable
    FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
        AND c.relname <> 'tortoise_migrations'
"""
POLICIES = """
    SELECT tablename AS table, policyname AS name, roles::text[] AS roles, permissive = 'PERMISSIVE' AS opens,
           cmd, qual, with_check
    FROM pg_policies WHERE schemaname = 'public'
"""

BEHIND_FUNCTIONS = {"token_buckets"}
"""Of no tenant: the application has no right on them, only on functions that work as their owner."""

OF_A_TENANT = {("tenant", "(tenant_id = current_tenant())")}
OF_A_PERSON = {("own", f"({column} = current_person())") for column in ("id", "user_id")}
PERSONAL = {"users", "user_secrets", "recovery_codes", "password_resets", "sessions"}
OF_EVERYBODY = {("everybody", "true")}
OUTSIDE = {"encryption_keys", "index_keys"}
"""Tables that nobody owns and that hold nothing of anybody."""

DOORS = {
    *((table, "by_secret") for table in ("claim_codes", "api_keys", "access_tokens", "invitations")),
    *((table, "by_secret") for table in ("password_resets", "sessions")),
    ("users", "by_address"),
    ("users", "colleagues"),
    ("users", "listed"),
    ("gateways", "listed"),
    ("memberships", "own"),
    ("platform_visits", "own"),
    ("tenants", "members"),
    ("tenants", "platform"),
    ("tenants", "listed"),
}
"""All that lets somebody see a row from the other side of its wall, to read only. A new one is a decision."""


OF_THE_OWNER = {"owner", "keeper", "listed"}
"""Policies of the tables' owner alone, for procedures that look after everybody's rows."""


async def test_every_table_has_its_wall(database_url: str) -> None:
    connection = await asyncpg.connect(**credentials(database_url))
    assert await connection.fetchval("SELECT keep_months(4)") == 2  # walls stand before months that come later, too
    tables, policies = await connection.fetch(TABLES), await connection.fetch(POLICIES)
    await connection.close()
    assert len(tables) >= 20
    assert len([table for table in tables if table["is_partition"]]) == 7 * 6
    for table in tables:
        name = table["name"]
        assert table["walled"], name
        assert table["forced"], name
        assert table["owner"] != APP_ROLE, name
        # A partition is reached through its table, whose policies hold then.
        assert table["reachable"] is not (table["is_partition"] or name in BEHIND_FUNCTIONS), name
        walls = {
            (policy["name"], policy["qual"])
            for policy in policies
            if policy["table"] == name and policy["opens"] and policy["cmd"] == "ALL" and policy["name"] != "keeper"
        }
        if name in BEHIND_FUNCTIONS:
            assert walls == {("owner", "true")}, name
        else:
            allowed = OF_A_PERSON if name in PERSONAL else OF_EVERYBODY if name in OUTSIDE else OF_A_TENANT
            assert len(walls) == 1, name
            assert walls <= allowed, name


async def test_every_door_in_a_wall_is_known_and_for_reading(database_url: str) -> None:
    connection = await asyncpg.connect(**credentials(database_url))
    policies = await connection.fetch(POLICIES)
    await connection.close()
    for policy in policies:
        if policy["name"] in OF_THE_OWNER:
            assert policy["roles"] == ["larder_owner"], policy
            continue
        assert policy["roles"] == ["public"], policy
        if policy["opens"] and policy["cmd"] == "ALL":
            assert policy["qual"] == policy["with_check"], policy
    doors = [policy for policy in policies if policy["opens"] and policy["cmd"] != "ALL"]
    assert {policy["cmd"] for policy in doors} == {"SELECT"}
    assert {(policy["table"], policy["name"]) for policy in doors} == DOORS


async def test_functions_that_work_as_their_owner_are_safe_from_their_callers(database_url: str) -> None:
    """They look for names where no caller can put any, and only the application may call them."""
    connection = await asyncpg.connect(**credentials(database_url))
    functions = await connection.fetch("""
        SELECT proname AS name, proconfig, has_function_privilege('public', oid, 'EXECUTE') AS anybody
        FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
    """)
    may_create = await connection.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", APP_ROLE)
    await connection.close()
    assert not may_create
    assert functions
    for function in functions:
        # pg_catalog comes first unless it is named; pg_temp, where callers can make things, must come last.
        paths = {"search_path=public, pg_temp", "search_path=pg_catalog, pg_temp"}
        assert paths & set(function["proconfig"] or ()), function["name"]
        assert not function["anybody"], function["name"]


async def test_nobody_reaches_a_partition_by_its_own_name(database_url: str) -> None:
    connection = await asyncpg.connect(**credentials(database_url))
    await connection.fetchval("SELECT keep_months(4)")
    granted = await connection.fetch("""
        SELECT c.relname FROM pg_class c, aclexplode(c.relacl) AS acl
        WHERE c.relispartition AND acl.grantee <> c.relowner
    """)
    await connection.close()
    assert granted == []


async def test_the_application_role_has_no_way_round(database_url: str) -> None:
    connection = await asyncpg.connect(**credentials(database_url))
    role = await connection.fetchrow("SELECT * FROM pg_roles WHERE rolname = $1", APP_ROLE)
    await connection.close()
    assert role is not None
    assert not [right for right in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb") if role[right]]


RARE = """
    INSERT INTO decommissions (tenant_id, id, machine_id, machine_version, reason, begun_by, begun_at)
        SELECT m.tenant_id, m.id, m.id, 1, 'moved', k.id, now() FROM machines m JOIN api_keys k USING (tenant_id);
    INSERT INTO device_health (tenant_id, device_id, at, uptime_s)
        SELECT tenant_id, id, now(), 1 FROM devices;
    INSERT INTO health_samples (tenant_id, device_id, begin_at, at, uptime_s, centi_celsius, peak_ma, clock)
        SELECT tenant_id, id, now(), now(), 1, '{}', '{}', 'synced' FROM devices;
    INSERT INTO credits (tenant_id, id, machine_id, device_id, amount_minor, currency, at)
        SELECT tenant_id, id, machine_id, id, 1, 'INR', now() FROM devices;
    INSERT INTO fact_conflicts (tenant_id, id, gateway_id, epoch, seq, hash, line)
        SELECT tenant_id, id, id, 1, 1, '', '' FROM gateways;
    INSERT INTO release_files (tenant_id, sha256, content)
        SELECT tenant_id, encode(sha256('x'), 'hex'), 'x' FROM tenants;
    INSERT INTO releases (tenant_id, digest, kind, board, version, minimum, expires, size, signed_by)
        SELECT tenant_id, sha256, 'app', 'esp32', '1.0.0', '0.0.0', 0, 1, '' FROM release_files;
    INSERT INTO firmware_assignments (tenant_id, device_id, id, assigned_by, assigned_at)
        SELECT d.tenant_id, d.id, d.id, k.id, now() FROM devices d JOIN api_keys k USING (tenant_id);
    INSERT INTO site_releases (tenant_id, site_id, assigned_by, assigned_at)
        SELECT s.tenant_id, s.id, k.id, now() FROM sites s JOIN api_keys k USING (tenant_id);
    INSERT INTO zones (tenant_id, device_id, zone, locked, slots, changed_at)
        SELECT tenant_id, id, 'top', true, '{A1}', now() FROM devices;
    INSERT INTO device_firmware (tenant_id, device_id, slot, version, state, changed_at)
        SELECT tenant_id, id, 'a', '1.0.0', 'valid', now() FROM devices;
    INSERT INTO device_instructions
            (tenant_id, id, device_id, idempotency_key, action, asked_by, asked_at, expires_at)
        SELECT d.tenant_id, d.id, d.id, d.id, 'restart', k.id, now(), now()
        FROM devices d JOIN api_keys k USING (tenant_id);
    INSERT INTO device_settings (tenant_id, device_id, version, signed, digest, assigned_by, assigned_at)
        SELECT d.tenant_id, d.id, 1, 'test.gAAAA', encode(sha256('x'), 'hex'), k.id, now()
        FROM devices d JOIN api_keys k USING (tenant_id);
    INSERT INTO kept_answers (tenant_id, actor_id, key, request_sha256, status, body)
        SELECT tenant_id, id, id, '', 201, 'test.gAAAA' FROM devices;
    INSERT INTO webhook_endpoints
            (tenant_id, id, url, description, events, state, secret, since, created_at)
        SELECT tenant_id, tenant_id, '', '', '{}', 'enabled', 'test.gAAAA', now(), now() FROM tenants;
    INSERT INTO webhook_cursors (tenant_id, gateway_id, epoch, seq) SELECT tenant_id, id, 1, 1 FROM gateways;
    INSERT INTO webhook_events (tenant_id, id, type, body, created_at)
        SELECT tenant_id, tenant_id, 'ping', '{}', now() FROM tenants;
    INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, event_id, type, state, next_at, created_at)
        SELECT tenant_id, id, id, id, 'ping', 'dead', now(), now() FROM webhook_events;
    INSERT INTO webhook_attempts (tenant_id, delivery_id, number, at, duration_ms, answer)
        SELECT tenant_id, id, 1, now(), 1, '' FROM webhook_deliveries;
    INSERT INTO device_settings_reports (tenant_id, device_id, state, reported_at)
        SELECT tenant_id, id, 'kept', now() FROM devices;
    INSERT INTO machine_templates (tenant_id, id, name, outline, created_at)
        SELECT tenant_id, uuidv7(), 'Two slots', '{}', now() FROM tenants;
    INSERT INTO setups (tenant_id, id, name, state, draft, made_by, created_at, changed_at)
        SELECT tenant_id, uuidv7(), 'Pune', 'open', 'test.gAAAA', id, now(), now() FROM actors LIMIT 1;
    INSERT INTO commissioning_reports (tenant_id, machine_id, setup_id, signed, made_by, made_at)
        SELECT s.tenant_id, m.id, s.id, '{}', s.made_by, now() FROM setups s, machines m;
    INSERT INTO customer_settings (tenant_id, country, keep_days) SELECT tenant_id, 'IN', 30 FROM tenants;
    INSERT INTO customers (tenant_id, id, phone, phone_index, created_at, last_contact_at)
        SELECT tenant_id, tenant_id, 'test.gAAAA', 'test.' || repeat('0', 64), now(), now() FROM tenants;
    INSERT INTO customer_orders (tenant_id, customer_id, order_id, linked_at)
        SELECT o.tenant_id, o.tenant_id, o.id, now() FROM orders o;
    INSERT INTO customer_notes (tenant_id, id, customer_id, text, written_by, written_at)
        SELECT k.tenant_id, k.id, k.tenant_id, 'test.gAAAA', k.id, now() FROM api_keys k;
    INSERT INTO stored_objects (tenant_id, name, bytes)
        SELECT tenant_id, encode(sha256('x'), 'hex'), 1 FROM tenants;
    INSERT INTO product_pictures (tenant_id, product_id, sha256, media_type, bytes, width, height, put_at)
        SELECT tenant_id, id, encode(sha256('x'), 'hex'), 'image/png', 1, 1, 1, now() FROM products;
    INSERT INTO product_picture_sizes (tenant_id, product_id, size, object, width, height)
        SELECT p.tenant_id, p.product_id, 'full', o.name, 1, 1
        FROM product_pictures p JOIN stored_objects o USING (tenant_id);
    INSERT INTO order_lines (tenant_id, order_id, line, product_name, price_minor, quantity)
        SELECT tenant_id, id, 1, 'Nuts', 1, 1 FROM orders;
    INSERT INTO legacy_machines (tenant_id, source, machine_id) SELECT tenant_id, name, id FROM machines;
    INSERT INTO legacy_files (tenant_id, id, path, kind, sha256, bytes, imported_at)
        SELECT tenant_id, tenant_id, '', 'records', encode(sha256('x'), 'hex'), 1, now() FROM tenants;
    INSERT INTO legacy_records (tenant_id, id, source, kind, collection, legacy_id, occurrence, file_id, position,
                                personal, odd, original, fingerprint, imported_at)
        SELECT tenant_id, machine_id, source, 'orders', '', '', 1, tenant_id, 1, true, '{}', 'test.gAAAA',
               'test.' || repeat('0', 64), now() FROM legacy_machines;
    INSERT INTO recovery_codes (user_id, code_sha256) SELECT current_person(), 'x';
    INSERT INTO password_resets (id, user_id, secret_sha256, created_at, expires_at)
        SELECT current_person(), current_person(), 'x', now(), now();
    INSERT INTO invitations (tenant_id, id, email, email_key, role, secret_sha256, invited_by, created_at, expires_at)
        SELECT tenant_id, tenant_id, 'a@b.example', 'a@b.example', 'viewer', 'x', 'x', now(), now() FROM tenants;
    INSERT INTO platform_visits (tenant_id, id, user_id, reason, began_at, ends_at)
        SELECT tenant_id, tenant_id, current_person(), 'to look after it', now(), now() FROM tenants;
    INSERT INTO access_tokens
            (tenant_id, id, api_key_id, family, kind, scopes, secret_sha256, created_at, expires_at)
        SELECT tenant_id, id, id, id, 'access', scopes, 'x', now(), now() FROM api_keys
"""
"""What no simple story brings about."""


async def fill(world: World) -> None:
    """At least one row in every table."""
    world.gateway.move(await world.slot(), 10, Reason.OPENING)
    world.gateway.sell(await world.slot())
    world.gateway.add_line(b"no fact")
    await world.acknowledged()
    assert (await world.client.post("/login", form=world.credentials)).status_code == 303
    for statement in RARE.split(";"):
        await world.rows(statement)


async def count(connection: asyncpg.Connection, table: str) -> int:
    found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608
    return found


async def test_no_tenant_no_rows(world: World, server: Server) -> None:
    """Nor does another tenant see any; a superuser, for whom no wall stands, sees some in every table."""
    await fill(world)
    name = str(credentials(world.url)["database"])
    everyone = await asyncpg.connect(**credentials(server.postgres.url("postgres", name)))
    ours = await asyncpg.connect(**credentials(world.url), server_settings={"role": APP_ROLE})
    try:
        assert await ours.fetchval("SELECT current_user") == APP_ROLE
        tables = [
            row["name"] for row in await everyone.fetch(TABLES) if row["reachable"] and row["name"] not in OUTSIDE
        ]
        assert [table for table in tables if not await count(everyone, table)] == []
        for tenant in (None, "", str(new_id())):
            if tenant is not None:
                await ours.execute("SELECT set_config('app.tenant', $1, false)", tenant)
            assert [table for table in tables if await count(ours, table)] == [], tenant
    finally:
        await everyone.close()
        await ours.close()


@pytest.mark.criterion("2.5")
async def test_every_foreign_key_is_indexed_and_bound_to_the_tenant(database_url: str) -> None:
    connection = await asyncpg.connect(**credentials(database_url))
    await connection.fetchval("SELECT keep_months(4)")
    keys = await connection.fetch("""
        SELECT k.conname AS name, k.conrelid::regclass::text AS table,
               (SELECT array_agg(a.attname::text ORDER BY u.place)
                    FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
                    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number) AS columns,
               (SELECT count(*) = 2 FROM pg_attribute a
                    WHERE a.attrelid IN (k.conrelid, k.confrelid) AND a.attname = 'tenant_id') AS of_tenants,
               EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = k.conrelid
                    AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey) AS indexed
        FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace
    """)
    await connection.close()
    assert len(keys) >= 20
    for key in keys:
        if key["of_tenants"]:
            assert key["columns"][0] == "tenant_id", key["name"]
        assert key["indexed"], f"{key['name']} of {key['table']} has no index"


async def test_models_tell_the_truth_about_their_tables(database: Database) -> None:
    async def work(transaction: Transaction) -> None:
        apps = database._tortoise.apps
        assert apps is not None
        for model in apps["cloud"].values():
            rows = await transaction.fetch(
                "SELECT column_name, is_nullable = 'YES' AS optional"
                " FROM information_schema.columns WHERE table_name = $1",
                model._meta.db_table,
            )
            told = {field.model_field_name: field.null for field in model._meta.fields_map.values()}
            assert told == {row["column_name"]: row["optional"] for row in rows}, model

    await database.unit("test", work)


async def test_migrating_at_the_same_time_and_again_does_no_harm(server: Server) -> None:
    name = f"t{new_id().hex}"
    await server.administer(f"CREATE DATABASE {name} OWNER larder_owner")
    await asyncio.gather(*(schema.migrate(server.owner_url(name)) for _ in range(3)))
    await server.administer(f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_database_without_a_migration_is_not_current(database: Database, owner_url: str) -> None:
    assert await database.unit("test", schema.is_current)
    connection = await asyncpg.connect(**credentials(owner_url))
    await connection.execute("DELETE FROM tortoise_migrations")
    await connection.close()
    assert not await database.unit("test", schema.is_current)
