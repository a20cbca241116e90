"""Months are added whatever lies in their way, and only what has outlived its time goes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from uuid import UUID

import asyncpg
import pytest

from cloud.clock import Clock, new_id
from cloud.database import APP_ROLE, Database, Transaction, credentials
from cloud.jobs import Keeper, Retention, jobs
from shared.orders import VendOutcome
from tests.cloud.conftest import World
from tests.fakes.gateway_client import GatewayClient
from tests.fakes.memory_objects import memory_objects

SALES = ("orders", "vends", "payments", "credits", "stock_movements")


def month_of(at: datetime, further: int = 0) -> date:
    """The first of the month so many months later."""
    months = at.year * 12 + at.month - 1 + further
    return date(months // 12, months % 12 + 1, 1)


def id_at(at: datetime) -> UUID:
    """An id as a clock that says so would make it."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | (new_id().int & ((1 << 80) - 1)))


@pytest.fixture
async def owner(owner_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner of the tables."""
    connection = await asyncpg.connect(**credentials(owner_url))
    yield connection
    await connection.close()


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The application's role, in no tenant."""
    connection = await asyncpg.connect(**credentials(database_url), server_settings={"role": APP_ROLE})
    yield connection
    await connection.close()


async def partitions(connection: asyncpg.Connection, table: str) -> list[str]:
    """The months there are of a table, as YYYY_MM."""
    rows = await connection.fetch(
        "SELECT right(inhrelid::regclass::text, 7) AS month FROM pg_inherits WHERE inhparent = $1::text::regclass"
        " AND inhrelid::regclass::text !~ 'other$' ORDER BY 1",
        table,
    )
    return [row["month"] for row in rows]


async def sell_under_clock(world: World, gateway: GatewayClient, at: datetime) -> UUID:
    """One sale with a refund of one unit, told by a gateway whose clock says `at`. Returns the order's id."""
    slot = await world.slot()
    lines = len(gateway.lines)
    gateway.sell(slot, [VendOutcome.DISPENSED, VendOutcome.NO_DROP])
    told = gateway.lines[lines:]
    del gateway.lines[lines:], gateway.hashes[lines + 1 :]
    ids: dict[bytes, bytes] = {}
    for line in told:
        for name in (b"order_id", b"payment_id", b"vend_id", b"movement_id"):
            for part in line.split(b'"' + name + b'":"')[1:]:
                ids.setdefault(part[:36], str(id_at(at)).encode())
    for line in told:
        gateway.add_line(reduce(lambda text, renamed: text.replace(*renamed), ids.items(), line))
    await world.acknowledged(lines + 1)
    return UUID(next(iter(ids.values())).decode())


async def where(world: World, table: str) -> set[str]:
    rows = await world.rows(f"SELECT DISTINCT tableoid::regclass::text AS lies FROM {table}")  # noqa: S608
    return {row["lies"] for row in rows}


async def content(world: World) -> dict[str, list[dict[str, object]]]:
    return {table: await world.rows(f"SELECT * FROM {table} ORDER BY id") for table in SALES}  # noqa: S608


@pytest.mark.criterion("2.5")
async def test_this_month_and_the_next_two_are_there_and_more_come(world: World, owner: asyncpg.Connection) -> None:
    now = Clock().now()
    wanted = [f"{month_of(now, further):%Y_%m}" for further in range(3)]
    for table in (*SALES, "facts", "health_samples"):
        assert await partitions(owner, table) == wanted
    keeper = Keeper(world.database, Clock())
    assert await keeper.add_months() == 0
    assert await world.do(lambda transaction: _keep_months(transaction, 5)) == 3
    for table in (*SALES, "facts", "health_samples"):
        assert len(await partitions(owner, table)) == 6


async def _keep_months(transaction: Transaction, ahead: int) -> int:
    row = await transaction.fetch_one("SELECT keep_months($1) AS added", ahead)
    assert row is not None
    return int(row["added"])


@pytest.mark.criterion("2.5")
async def test_what_a_wrong_clock_sold_blocks_no_month(world: World) -> None:
    """Three gateways' clocks: in 1970, in a month that is yet to be added, and in 2099."""
    soon = datetime.combine(month_of(Clock().now(), 4), datetime.min.time(), UTC) + timedelta(days=9)
    for at in (datetime(1970, 1, 2, tzinfo=UTC), soon, datetime(2099, 5, 6, tzinfo=UTC)):
        await sell_under_clock(world, world.gateway, at)
    before = await content(world)
    assert {table: len(rows) for table, rows in before.items()} == {
        "orders": 3,
        "vends": 6,
        "payments": 3,
        "credits": 0,
        "stock_movements": 3,
    }
    assert await where(world, "orders") == {"orders_other"}
    assert await world.do(lambda transaction: _keep_months(transaction, 6)) == 4
    assert await content(world) == before
    for table in SALES:
        if before[table]:
            assert await where(world, table) == {f"{table}_other", f"{table}_{soon:%Y_%m}"}
    await sell_under_clock(world, world.gateway, soon)
    assert len(await world.rows("SELECT FROM orders")) == 4
    assert await world.rows("SELECT FROM dead_letters") == []


@pytest.mark.criterion("2.5")
async def test_a_month_that_was_added_too_late_takes_over_its_facts(world: World, owner: asyncpg.Connection) -> None:
    month = f"{month_of(Clock().now()):%Y_%m}"
    await owner.execute(f"ALTER TABLE facts DETACH PARTITION facts_{month}; DROP TABLE facts_{month}")
    for table in (*SALES, "health_samples"):
        await owner.execute(f"ALTER TABLE {table} DETACH PARTITION {table}_{month}; DROP TABLE {table}_{month}")
    world.gateway.sell(await world.slot())
    world.gateway.add_line(b"poison")
    await world.acknowledged()
    facts = await world.rows("SELECT * FROM facts ORDER BY seq")
    assert await where(world, "facts") == {"facts_other"}
    assert await Keeper(world.database, Clock()).add_months() == 1
    assert await where(world, "facts") == {f"facts_{month}"}
    assert await world.rows("SELECT * FROM facts ORDER BY seq") == facts
    assert len(await world.rows("SELECT FROM dead_letters")) == 1
    assert (await world.acknowledged()).seq == len(facts)


OLD = """
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, state, placed_at,
                        received_at)
        SELECT $1, $3, id, 'free', 'INR', 0, 1, 'settled', $4, $4 FROM machines WHERE id = $2;
    INSERT INTO vends (tenant_id, id, order_id, position, state, slot, product_id, product_name, price_minor)
        SELECT $1, $3, $3, 1, 'done', 'A1', (SELECT id FROM products LIMIT 1), '', 0 FROM machines WHERE id = $2;
    INSERT INTO payments (tenant_id, id, order_id, rail, currency, amount_minor, state, attempted_at)
        SELECT $1, $3, $3, 'free', 'INR', 0, 'settled', $4 FROM machines WHERE id = $2;
    INSERT INTO stock_movements (tenant_id, id, machine_id, slot, delta, reason, vend_id, at)
        SELECT $1, $3, id, 'A1', -1, 'vend', $3, $4 FROM machines WHERE id = $2;
    INSERT INTO facts (tenant_id, gateway_id, epoch, seq, event, line, hash, received_at)
        SELECT $1, $3, 1, 1, '', '', '', $4 FROM machines WHERE id = $2;
    INSERT INTO health_samples (tenant_id, device_id, begin_at, at, uptime_s, centi_celsius, peak_ma, clock)
        SELECT $1, id, $4, $4, 1, '{}', '{}', 'synced' FROM devices WHERE machine_id = $2
"""


async def remember(world: World, owner: asyncpg.Connection, at: datetime, order_id: UUID | None = None) -> UUID:
    """A sale, a fact and a health sample as if they had come at `at`, in that month's partitions."""
    slot, order_id = await world.slot(), order_id or id_at(at)
    await owner.execute("SELECT set_config('app.tenant', $1, false)", str(world.tenant_id))
    for table in (*SALES, "facts", "health_samples"):
        await owner.execute(f"CALL add_partition('{table}', '{month_of(at)}')")
    for statement in OLD.split(";"):
        values = (world.tenant_id, slot.machine_id, order_id, at)
        used = [value for place, value in enumerate(values, 1) if f"${place}" in statement]
        numbered = statement if len(used) == 4 else statement.replace("$4", "$3")
        await owner.execute(numbered, *used)
    return order_id


async def known_orders(world: World) -> set[UUID]:
    return {row["id"] for row in await world.rows("SELECT id FROM orders")}


async def test_health_outlives_its_time_by_no_month_and_facts_and_orders_stay(
    world: World, owner: asyncpg.Connection
) -> None:
    now = Clock().now()
    old, older = await remember(world, owner, now - timedelta(days=300)), now - timedelta(days=500)
    oldest = await remember(world, owner, older)
    table = {job.name: job for job in jobs(world.database, Clock(), Retention(), memory_objects())}
    assert set(table) == {"months", "expired", "customers", "former people", "objects", "webhooks", "health"}
    assert await table["health"].work() == 1
    assert [row["at"] for row in await world.rows("SELECT DISTINCT at FROM health_samples")] == [
        now - timedelta(days=300)
    ]
    assert await table["health"].work() == 0
    assert await known_orders(world) == {old, oldest}
    assert len(await world.rows("SELECT FROM facts")) == 2


async def test_old_facts_go_by_the_month_but_not_from_under_a_dead_letter(
    world: World, owner: asyncpg.Connection
) -> None:
    now = Clock().now()
    dead = await remember(world, owner, now - timedelta(days=800))
    await remember(world, owner, now - timedelta(days=600))
    await remember(world, owner, now - timedelta(days=300))
    await owner.execute(
        "INSERT INTO dead_letters SELECT tenant_id, gateway_id, epoch, seq, '', 1, now(), NULL, received_at FROM facts"
        " WHERE gateway_id = $1",
        dead,
    )
    forget = {job.name: job for job in jobs(world.database, Clock(), Retention(facts_days=400), memory_objects())}[
        "facts"
    ].work
    assert await forget() == 1
    assert len(await world.rows("SELECT FROM facts")) == 2
    await world.rows("UPDATE dead_letters SET replayed_at = now()")
    assert await forget() == 1
    assert await world.rows("SELECT FROM dead_letters") == []
    assert len(await world.rows("SELECT FROM facts")) == 1


async def test_a_repeat_of_facts_that_are_gone_is_acknowledged_and_does_nothing(
    world: World, owner: asyncpg.Connection
) -> None:
    world.gateway.sell(await world.slot())
    mark = await world.acknowledged()
    await owner.execute("SELECT set_config('app.tenant', $1, false)", str(world.tenant_id))
    before = await content(world)
    await owner.execute("DELETE FROM facts WHERE seq <= 3")
    assert await world.acknowledged() == mark
    assert await content(world) == before
    assert await world.rows("SELECT FROM fact_conflicts") == []
    world.gateway.lines[5] = world.gateway.lines[5].replace(b"INR", b"EUR")
    assert (await world.push(6, 1)).status_code == 200  # its chain is the one we have
    other = GatewayClient(world.gateway.key, world.gateway.claimed)
    other.sell(await world.slot())
    assert (await world.client.post("/v1/sync/facts", data=other.packed(), headers=other.headers())).status_code == 409


async def test_old_orders_go_with_all_that_is_theirs_and_leave_their_sums(
    world: World, owner: asyncpg.Connection
) -> None:
    now = Clock().now()
    world.gateway.sell(await world.slot())
    await world.acknowledged()
    sold = await known_orders(world)
    kept = await remember(world, owner, now - timedelta(days=300))
    await remember(world, owner, now - timedelta(days=600))
    await remember(world, owner, now - timedelta(days=601), id_at(datetime(1970, 1, 5, tzinfo=UTC)))
    await remember(world, owner, now - timedelta(days=602), id_at(datetime(2099, 1, 5, tzinfo=UTC)))
    slow = await remember(world, owner, now, id_at(now - timedelta(days=600)))
    sums = await world.rows("SELECT * FROM sales_hours")
    forget = {job.name: job for job in jobs(world.database, Clock(), Retention(orders_days=400), memory_objects())}[
        "orders"
    ].work
    assert await forget() >= 3
    assert await known_orders(world) == {kept, slow} | sold
    for table in ("vends", "payments", "stock_movements"):
        assert len(await world.rows(f"SELECT FROM {table}")) == 3
    assert await world.rows("SELECT * FROM sales_hours") == sums
    assert f"{now - timedelta(days=600):%Y_%m}" in await partitions(owner, "orders"), "one came lately"
    assert await forget() == 0


async def test_what_has_expired_is_forgotten(world: World, owner: asyncpg.Connection) -> None:
    for _ in range(2):
        assert (await world.client.post("/login", form=world.credentials)).status_code == 303
    await world.rows(
        "UPDATE sessions SET expires_at = now() - interval '1 minute'"
        " WHERE id = (SELECT id FROM sessions ORDER BY id LIMIT 1)"
    )
    await world.rows(
        "UPDATE claim_codes SET created_at = now() - interval '60 days', expires_at = now() - interval '60 days'"
    )
    await owner.execute("SELECT set_config('app.tenant', $1, false)", str(world.tenant_id))
    await owner.execute("UPDATE changes SET created_at = now() - interval '100 days' WHERE number <= 3")
    keeper = Keeper(world.database, Clock())
    codes, changes = [len(await world.rows(f"SELECT FROM {table}")) for table in ("claim_codes", "changes")]
    assert await keeper.forget_expired() == 1 + codes + 3
    assert len(await world.rows("SELECT FROM sessions")) == 1
    assert len(await world.rows("SELECT FROM changes")) == changes - 3
    assert [row["pruned_change"] for row in await world.rows("SELECT pruned_change FROM sites")] == [3]
    assert await keeper.forget_expired() == 0


YOUNG = (
    "keep_months(13)",
    "keep_months(-1)",
    "keep_months(NULL)",
    "forget_health(current_date - 29)",
    "forget_health(NULL)",
    "forget_health('infinity')",
    "forget_facts(current_date - 360)",
    "forget_facts(NULL)",
    "forget_orders(current_date - 360, 1)",
    "forget_orders(NULL, 1)",
    "drop_sold_months(current_date)",
    "drop_sold_months(NULL)",
)
REFUSED = (
    "CALL add_month('2030-01-01')",
    "CALL add_partition('orders', '2030-01-01')",
    "CALL drop_partition('orders', '2026-01-01')",
    "CALL wall_partition('orders_other')",
    "CALL kept_by_owner('tenants', 'true')",
    "CREATE TABLE mine (x int)",
    "CREATE FUNCTION this_month() RETURNS date LANGUAGE sql RETURN date '1999-01-01'",
    "SELECT count(*) FROM orders_other",
    "DROP TABLE orders_other",
    "ALTER TABLE orders DETACH PARTITION orders_other",
    "TRUNCATE orders",
    "DELETE FROM facts",
)


async def test_the_application_cannot_have_young_data_dropped_nor_do_anything_else(app: asyncpg.Connection) -> None:
    for statement in (*(f"SELECT {call}" for call in YOUNG), *REFUSED):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            print(statement, await app.execute(statement))


async def test_the_keepers_setting_opens_nothing_to_the_application(world: World, app: asyncpg.Connection) -> None:
    world.gateway.sell(await world.slot())
    await world.acknowledged()
    await app.execute("SET app.keeper = 'on'")
    for table in (*SALES, "facts", "dead_letters", "sites", "sessions", "changes"):
        assert await app.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608
    async with app.transaction():
        await app.fetchval("SELECT keep_months(0)")
        assert await app.fetchval("SELECT count(*) FROM orders") == 0


async def test_names_in_a_temporary_schema_mislead_nobody(app: asyncpg.Connection) -> None:
    """What works as the owner looks for its tables where they are, whatever its caller has put in the way."""
    await app.execute("CREATE TEMP TABLE facts_other (received_at timestamptz)")
    await app.execute("INSERT INTO facts_other VALUES ('2001-01-01')")
    assert await app.fetchval("SELECT keep_months(2)") == 0


def test_every_job_has_a_name_of_its_own(database: Database) -> None:
    table = jobs(database, Clock(), Retention(facts_days=400, orders_days=400), memory_objects())
    assert len({job.name for job in table}) == len(table) == 9


async def test_a_month_waits_for_who_writes_and_loses_nothing_of_it(
    world: World, app: asyncpg.Connection, database_url: str
) -> None:
    """A payment of a gateway whose clock is ahead is captured just when its month is added."""
    soon = datetime.combine(month_of(Clock().now(), 3), datetime.min.time(), UTC) + timedelta(days=9)
    order_id = await sell_under_clock(world, world.gateway, soon)
    writer = await asyncpg.connect(**credentials(database_url), server_settings={"role": APP_ROLE})
    transaction = writer.transaction()
    await transaction.start()
    await writer.execute("SELECT set_config('app.tenant', $1, true)", str(world.tenant_id))
    await writer.execute("UPDATE orders SET captured_minor = 7 WHERE id = $1", order_id)
    adding = asyncio.create_task(app.fetchval("SELECT keep_months(3)"))
    await asyncio.sleep(0.1)
    assert not adding.done()
    await transaction.commit()
    await writer.close()
    assert await adding == 1
    assert await world.rows("SELECT captured_minor FROM orders") == [{"captured_minor": 7}]
    assert await where(world, "orders") == {f"orders_{soon:%Y_%m}"}
