"""Lists: page by page, filtered, sorted, cut to fields; their cursors; and the SQL they make."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cloud import cursors
from cloud.database import credentials
from cloud.inventory.models import MOVEMENTS, MovementQuery
from cloud.orders.models import ORDERS
from cloud.orders.rules import OrderRail
from cloud.orders.service import OrderQuery
from shared.inventory import Reason
from shared.orders import OrderState
from tests.cloud.conftest import World

START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS_OF = """
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, state, placed_at)
    SELECT tenant_id, uuidv7(), id, CASE WHEN n % 3 = 0 THEN 'cash' ELSE 'free' END, 'INR', n, 1,
           CASE WHEN n % 4 = 0 THEN 'cancelled' ELSE 'settled' END, $1::timestamptz + n / 2 * interval '1 minute'
    FROM machines, generate_series(1, 12) n WHERE id = ANY($2::uuid[])
"""
VENDS_OF = """
    INSERT INTO vends (tenant_id, order_id, position, id, slot, product_id, product_name, price_minor, state)
    SELECT o.tenant_id, o.id, 1, uuidv7(), 'A1', (SELECT min(id::text)::uuid FROM products), 'Peanuts', 1, 'waiting'
    FROM orders o
"""


async def fetch(world: World, path: str) -> dict[str, Any]:
    answer = await world.client.get(path, headers=world.operator)
    found: dict[str, Any] = await answer.get_json()
    assert answer.status_code == 200, found
    return found


async def walk(world: World, path: str, rows: str, limit: int) -> list[dict[str, Any]]:
    """All pages of a list."""
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await fetch(world, f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")
        assert len(page[rows]) <= limit
        seen += page[rows]
        if page["next_cursor"] is None:
            return seen
        cursor = f"&cursor={page['next_cursor']}"


async def sold(world: World) -> None:
    """Twelve orders a machine, two of each at the same moment."""
    await world.rows(ORDERS_OF, START, [UUID(machine.machine_id) for machine in world.seeded.machines])
    await world.rows(VENDS_OF)


@pytest.mark.criterion("5.1")
async def test_orders_come_page_by_page_under_each_filter_and_order(world: World) -> None:
    await sold(world)
    everything = await walk(world, "/v1/orders", "orders", 200)
    assert len(everything) == 24
    keys = [(order["placed_at"], order["order_id"]) for order in everything]
    assert keys == sorted(keys, reverse=True)
    first, machine = world.seeded.site_id, world.seeded.machines[0].machine_id
    later = (START + timedelta(minutes=3)).isoformat().replace("+00:00", "Z")
    cases: dict[str, Callable[[dict[str, Any]], bool]] = {
        "": lambda order: True,
        f"machine_id={machine}": lambda order: order["machine_id"] == machine,
        f"site_id={first}": lambda order: True,
        f"site_id={UUID(int=7)}": lambda order: False,
        "state=cancelled": lambda order: order["state"] == "cancelled",
        "state=settled&rail=cash": lambda order: (order["state"], order["rail"]) == ("settled", "cash"),
        f"placed_from={later}": lambda order: order["placed_at"] >= later,
        f"placed_to={later}&site_id={first}": lambda order: order["placed_at"] < later,
        f"site_id={first}&state=cancelled&rail=free": lambda o: (o["state"], o["rail"]) == ("cancelled", "free"),
    }
    for query, fits in cases.items():
        expected = [order["order_id"] for order in everything if fits(order)]
        for limit in (5, 200):
            found = await walk(world, f"/v1/orders?{query}", "orders", limit)
            assert [order["order_id"] for order in found] == expected, query
        upwards = await walk(world, f"/v1/orders?{query}&sort=placed_at", "orders", 7)
        assert [order["order_id"] for order in upwards] == expected[::-1], query


@pytest.mark.criterion("5.5")
async def test_only_the_fields_asked_for_are_shown(world: World) -> None:
    await sold(world)
    page = await fetch(world, "/v1/orders?fields=order_id,state&limit=2")
    assert [set(order) for order in page["orders"]] == [{"order_id", "state"}] * 2
    assert page["next_cursor"] is not None
    answer = await world.client.get("/v1/orders?fields=order_id,secret", headers=world.operator)
    problem = await answer.get_json()
    assert (answer.status_code, [error["path"] for error in problem["errors"]]) == (422, ["fields"])
    assert "secret" in problem["errors"][0]["message"]


async def test_stock_by_product_and_devices_by_site(world: World) -> None:
    slot = await world.slot()
    world.gateway.move(slot, 10, Reason.OPENING)
    world.gateway.move(await world.slot(0, "A2"), 4, Reason.OPENING)
    await world.acknowledged()
    (level,) = (await fetch(world, f"/v1/inventory?product_id={slot.product_id}"))["stock"]
    assert (level["slot"], level["quantity"]) == ("A1", 10)
    for query, number in (
        (f"site_id={world.seeded.site_id}", 2),
        (f"machine_id={slot.machine_id}", 1),
        ("online=false", 2),
        ("online=true", 0),
        (f"site_id={UUID(int=7)}", 0),
    ):
        assert len((await fetch(world, f"/v1/devices?{query}"))["devices"]) == number, query
    movements = await walk(world, f"/v1/inventory/movements?machine_id={slot.machine_id}", "movements", 1)
    assert [(move["slot"], move["delta"], move["reason"]) for move in movements] == [
        ("A1", 10, "opening"),
        ("A2", 4, "opening"),
    ]


@pytest.mark.criterion("5.5")
async def test_a_cursor_belongs_to_its_list_filters_and_order(world: World) -> None:
    await sold(world)
    cursor = (await fetch(world, "/v1/orders?limit=1"))["next_cursor"]
    assert (await fetch(world, f"/v1/orders?cursor={cursor}&limit=9&fields=order_id"))["orders"]
    foreign = [f"/v1/orders?cursor={cursor}&{query}" for query in ("sort=placed_at", "rail=free", "state=settled")]
    foreign += [f"{path}?cursor={cursor}" for path in ("/v1/devices", "/v1/inventory", "/v1/catalog/products")]
    of_first = f"/v1/devices/{world.seeded.machines[0].device_id}/instructions"
    foreign.append(f"{of_first}?cursor={cursor}")
    for path in foreign:
        answer = await world.client.get(path, headers=world.operator)
        assert (answer.status_code, (await answer.get_json())["errors"][0]["path"]) == (422, "cursor"), path


def test_of_an_older_version_a_cursor_is_refused() -> None:
    keys, mark = ORDERS.keys["-placed_at"], cursors.mark_of("orders", "-placed_at", [])
    cursor = cursors.encode(keys, mark, (START, UUID(int=1)))
    assert cursors.decode(keys, mark, cursor) == (START, UUID(int=1))
    told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    older = base64.urlsafe_b64encode(json.dumps([0, *told[1:]]).encode()).decode()
    assert cursors.decode(keys, mark, older) is None


def test_of_a_request_only_values_reach_the_database() -> None:
    machine = UUID(int=5)
    query = OrderQuery(machine_id=machine, state=OrderState.CANCELLED, rail=OrderRail.CASH, placed_to=START)
    sql, values = ORDERS.statement(query, 51, (START, machine))
    assert values == [machine, OrderState.CANCELLED, OrderRail.CASH, START, START, machine, 51]
    assert str(machine) not in sql
    assert "state <> 'settled'" in sql, "so that the small index is found"
    assert "LATERAL" in ORDERS.statement(OrderQuery(site_id=machine), 51)[0], "each machine by its own index"
    evil = "A1'; DROP TABLE orders --"
    assert evil not in MOVEMENTS.statement(MovementQuery.model_construct(slot=evil), None)[0]


RARE = """
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, state, placed_at)
    SELECT tenant_id, uuidv7(), id, CASE WHEN n % 1000 = 0 THEN 'cash' ELSE 'free' END, 'INR', n, 1,
           CASE WHEN n % 1000 = 1 THEN 'cancelled' ELSE 'settled' END, now() - n * interval '1 minute'
    FROM machines, generate_series(1, 10000) n
"""


INDEXES = """
    SELECT inhrelid::regclass::text AS part, inhparent::regclass::text AS "whole" FROM pg_inherits
    JOIN pg_class ON pg_class.oid = inhrelid AND relkind = 'i'
"""


@pytest.mark.criterion("2.5")
async def test_each_filter_and_order_is_borne_by_an_index(world: World, owner_url: str) -> None:
    """With enough rows, and sequential scans allowed, Postgres itself finds the index that is meant for it."""
    await world.rows(RARE)
    owner = await asyncpg.connect(**credentials(owner_url))
    await owner.execute("ANALYZE orders")
    await owner.execute("SELECT set_config('app.tenant', $1, false)", str(world.tenant_id))
    await owner.execute("SET ROLE larder_app")  # the owner keeps watch over all tenants, so it has other plans
    whole = {row["part"]: row["whole"] for row in await owner.fetch(INDEXES)}
    machine_id, after = (
        UUID(world.seeded.machines[0].machine_id),
        (datetime.now(UTC) - timedelta(minutes=99), UUID(int=0)),
    )
    site_id = UUID(world.seeded.site_id)
    cases = [
        (OrderQuery(), "orders_list_idx"),
        (OrderQuery(sort="placed_at"), "orders_list_idx"),
        (OrderQuery(state=OrderState.SETTLED), "orders_list_idx"),
        (OrderQuery(machine_id=machine_id), "orders_machine_idx"),
        (OrderQuery(site_id=site_id), "orders_machine_idx"),
        (OrderQuery(state=OrderState.CANCELLED), "orders_unsettled_idx"),
        (OrderQuery(rail=OrderRail.CASH), "orders_rail_idx"),
    ]
    for query, index in cases:
        sql, values = ORDERS.statement(query, 51, after)
        plan = "\n".join(row[0] for row in await owner.fetch(f"EXPLAIN {sql}", *values))
        assert index in {whole.get(word, word) for word in plan.split()}, (query, plan)
        assert f"Seq Scan on orders_{datetime.now(UTC):%Y_%m}" not in plan, (query, plan)
    await owner.close()
