"""Exports: whole, in their walls, harmless in a spreadsheet, and gone with whom reads them."""

import asyncio
import csv
import io
import json
from contextlib import aclosing
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import httpx
import pytest

from cloud.callers import Actor, ActorKind, Operator
from cloud.clock import new_id
from cloud.database import STREAM_ROWS, Database
from cloud.errors import Unavailable
from cloud.exports import csv_lines, json_lines
from cloud.failpoints import Failpoints
from edge.kiosk.server import bind, serve
from tests.cloud.conftest import Server, World
from tests.fakes.until import until

MANY = """
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, state, placed_at)
    SELECT tenant_id, uuidv7(), id, 'cash', 'INR', n, 1, 'settled', now() - n * interval '1 minute'
    FROM machines, generate_series(1, $2) n WHERE id = $1
"""
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'larder-cloud' AND state = 'idle in transaction'
"""


def caller(world: World) -> Operator:
    return Operator(world.tenant_id, Actor(ActorKind.SYSTEM, new_id(), "test"), frozenset())


async def sold(world: World, number: int) -> None:
    await world.rows(MANY, UUID(world.seeded.machines[0].machine_id), number)


def test_what_a_spreadsheet_would_run_is_quoted() -> None:
    bad = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    text = csv_lines([["a,b", 'say "x"', "two\nlines", None, -5, at], bad])
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["a,b", 'say "x"', "two\nlines", "", "-5", "2026-01-01T00:00:00Z"],
        [f"'{cell}" for cell in bad],
    ]
    assert text.count("\r\n") == 2
    assert json.loads(json_lines(["a", "at"], [["=1", at]])) == {"a": "=1", "at": "2026-01-01T00:00:00Z"}


@pytest.mark.criterion("5.1")
async def test_orders_and_movements_are_exported_whole(world: World) -> None:
    number = 2 * STREAM_ROWS + 3
    await sold(world, number)
    machine_id = UUID(world.seeded.machines[0].machine_id)
    await world.rows("UPDATE machines SET name = '=cmd()' WHERE id = $1 RETURNING id", machine_id)
    answer = await world.client.get("/v1/orders/export?format=csv", headers=world.operator)
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    rows = list(csv.DictReader(io.StringIO(await answer.get_data(as_text=True), newline="")))
    assert len({row["order_id"] for row in rows}) == number
    assert {row["machine_name"] for row in rows} == {"'=cmd()"}
    assert [int(row["total_minor"]) for row in rows] == list(range(1, number + 1)), "the newest first"
    answer = await world.client.get("/v1/orders/export?format=ndjson&sort=placed_at", headers=world.operator)
    lines = [json.loads(line) for line in (await answer.get_data(as_text=True)).splitlines()]
    assert [line["order_id"] for line in lines] == [row["order_id"] for row in rows][::-1]
    assert lines[0]["placed_at"].endswith("Z")
    for query, expected in (("rail=free", 0), (f"site_id={world.seeded.site_id}", number)):
        answer = await world.client.get(f"/v1/orders/export?format=ndjson&{query}", headers=world.operator)
        assert len((await answer.get_data(as_text=True)).splitlines()) == expected
    answer = await world.client.get("/v1/inventory/movements/export?format=csv", headers=world.operator)
    assert (await answer.get_data(as_text=True)).startswith("movement_id,machine_id,slot,delta,reason,vend_id,at\r\n")
    for path in ("/v1/orders/export", "/v1/orders/export?format=xls", "/v1/orders/export?format=csv&limit=3"):
        assert (await world.client.get(path, headers=world.operator)).status_code == 422, path
    assert (await world.client.head("/v1/orders/export?format=csv", headers=world.operator)).status_code == 200
    entries = await world.rows("SELECT after FROM audit_entries WHERE action = 'list_exported' ORDER BY number")
    told = [json.loads(entry["after"]) for entry in entries]
    assert len(told) == 5, "one that was refused, or only asked about, was audited"
    assert told[3] == {"list": "orders", "format": "ndjson", "site_id": world.seeded.site_id}


async def test_whoever_leaves_gives_the_connection_back(world: World) -> None:
    await sold(world, 3 * STREAM_ROWS)
    database = Database(world.url, Failpoints(), pool_size=4)
    await database.open()
    try:
        for _ in range(10):
            rows = database.stream("test", "SELECT id FROM orders", [], caller=caller(world))
            async with aclosing(rows):
                assert len(await anext(rows)) == STREAM_ROWS
                with pytest.raises(Unavailable):  # a quarter of the pool is at it
                    await anext(database.stream("test", "SELECT 1", [], caller=caller(world)))
            await until(lambda: not database._borrowed)
        abandoned = asyncio.create_task(anext(database.stream("test", "SELECT pg_sleep(60)", [], caller=caller(world))))
        await until(lambda: bool(database._borrowed))
        abandoned.cancel()
        await until(lambda: not database._borrowed)
    finally:
        await database.close()


async def test_a_stream_is_read_only_within_its_walls_and_ends_in_time(world: World) -> None:
    await sold(world, 3)
    stranger = Operator(new_id(), Actor(ActorKind.SYSTEM, new_id(), "test"), frozenset())
    assert [rows async for rows in world.database.stream("test", "SELECT id FROM orders", [], caller=stranger)] == []
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await anext(world.database.stream("test", "DELETE FROM changes RETURNING 1", [], caller=caller(world)))
    with pytest.raises(Unavailable):
        await anext(world.database.stream("test", "SELECT pg_sleep(60)", [], caller=caller(world), seconds=0.3))


async def read_and_cut(where: str, world: World, server: Server) -> None:
    """Read the begin of an export, end its line to the database, read on."""
    async with httpx.AsyncClient() as client:
        url = f"{where}/v1/orders/export?format=ndjson"
        async with client.stream("GET", url, headers=world.operator) as answer:
            chunks = answer.aiter_raw()
            await anext(chunks)
            await server.administer(CUT)
            async for _ in chunks:
                pass


async def test_one_that_fails_in_the_middle_is_not_taken_for_whole(world: World, server: Server) -> None:
    await sold(world, 60 * STREAM_ROWS)
    listener, draining = bind("127.0.0.1", 0), asyncio.Event()
    serving = asyncio.create_task(serve(world.app, listener, draining), name="cloud")
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            await read_and_cut(f"http://127.0.0.1:{listener.getsockname()[1]}", world, server)
    finally:
        draining.set()
        await serving
