"""What every answer of the application has in common, and its health."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from quart.testing.connections import WebsocketResponseError

from cloud.app import create_app
from cloud.clock import Clock
from cloud.dashboard.assets import Assets
from cloud.database import credentials
from cloud.failpoints import Failpoints
from tests.cloud.conftest import World
from tests.fakes.encryption_keys import keyring
from tests.fakes.mailbox import Mailbox
from tests.fakes.memory_objects import memory_objects


@pytest.mark.criterion("3.4")
async def test_health_tells_live_from_ready(world: World, owner_url: str) -> None:
    assert (await world.client.get("/health/live")).status_code == 200
    assert (await world.client.get("/health/ready")).status_code == 200
    connection = await asyncpg.connect(**credentials(owner_url))
    await connection.execute("DELETE FROM tortoise_migrations")
    await connection.close()
    assert (await world.client.get("/health/ready")).status_code == 503
    assert (await world.client.get("/health/live")).status_code == 200


@pytest.mark.criterion("3.4")
async def test_without_a_database_it_lives_but_is_not_ready() -> None:
    nowhere = "postgresql://larder_owner@127.0.0.1:9/larder"
    app = create_app(
        nowhere,
        clock=Clock(),
        failpoints=Failpoints(),
        draining=asyncio.Event(),
        keyring=keyring(),
        carrier=Mailbox(),
        objects=memory_objects(),
    )
    async with app.test_app() as running:
        client = running.test_client()
        assert (await client.get("/health/live")).status_code == 200
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert (await answer.get_json())["code"] == "unavailable"


async def test_every_answer_carries_the_security_headers_and_the_time(world: World) -> None:
    for path in ("/login", "/v1/orders", "/nowhere", "/health/live", Assets().url("src/shell.ts")):
        answer = await world.client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert len(answer.headers.getlist("Date")) == 1
        assert answer.headers["X-Request-Id"]


async def test_errors_are_problems_with_stable_codes(world: World) -> None:
    cases = [
        (await world.client.get("/nowhere"), 404, "not_found"),
        (await world.client.delete("/v1/orders"), 405, "method_not_allowed"),
        (await world.client.get("/v1/orders"), 401, "unauthenticated"),
        (await world.client.get("/v1/orders/not-an-id", headers=world.operator), 404, "not_found"),
        (await world.client.get("/v1/orders?limit=0", headers=world.operator), 422, "validation_failed"),
        (await world.client.get("/v1/orders?limit=x", headers=world.operator), 422, "validation_failed"),
        (await world.client.get("/v1/orders?cursor=x", headers=world.operator), 422, "validation_failed"),
        (await world.client.get("/v1/orders?machine_id=x", headers=world.operator), 422, "validation_failed"),
        (await world.client.post("/v1/claim", data=b"x"), 415, "unsupported_media_type"),
    ]
    for answer, status, code in cases:
        problem = await answer.get_json()
        assert (answer.status_code, problem["code"], problem["status"]) == (status, code, status)
        assert answer.mimetype == "application/problem+json"


async def test_a_wrong_method_learns_the_right_ones(world: World) -> None:
    answer = await world.client.delete("/v1/orders")
    assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))


async def test_a_refused_doorbell_carries_the_headers_too(world: World) -> None:
    async with world.client.websocket("/v1/sync/doorbell") as bell:
        with pytest.raises(WebsocketResponseError) as refused:
            await bell.receive()
    headers = refused.value.response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Request-Id"]


async def test_ranges_of_assets_are_ignored(world: World) -> None:
    for wished in ("bytes=999999-", "bytes=0-1", "x"):
        answer = await world.client.get(Assets().url("src/shell.ts"), headers={"Range": wished})
        assert answer.status_code == 200


async def test_a_fault_of_ours_shows_no_inside(world: World, owner_url: str) -> None:
    connection = await asyncpg.connect(**credentials(owner_url))
    await connection.execute("ALTER TABLE vends RENAME TO hidden")
    await connection.close()
    answer = await world.client.get("/v1/orders", headers=world.operator)
    text = await answer.get_data(as_text=True)
    assert (answer.status_code, (await answer.get_json())["code"]) == (500, "internal")
    assert "vends" not in text
    assert "Traceback" not in text


async def test_pages_of_orders_follow_one_another_without_a_gap(world: World) -> None:
    slot = await world.slot()
    sold = [world.gateway.sell(slot) for _ in range(7)]
    await world.acknowledged()
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = await (await world.client.get(f"/v1/orders?limit=3{cursor}", headers=world.operator)).get_json()
        seen += [order["order_id"] for order in page["orders"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert [UUID(order_id) for order_id in seen] == sold[::-1]


@pytest.mark.criterion("2.5")
async def test_lists_are_read_by_index(world: World, owner_url: str) -> None:
    """With enough rows, and sequential scans allowed, Postgres itself prefers the index."""
    connection = await asyncpg.connect(**credentials(world.url), server_settings={"role": "larder_app"})
    slot = await world.slot()
    await connection.execute("SELECT set_config('app.tenant', $1, false)", str(world.tenant_id))
    await connection.execute(
        """INSERT INTO orders
               (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, state, placed_at)
           SELECT $1, uuidv7(), $2, 'free', 'INR', 1, 1, 'settled', now() - n * interval '1 minute'
           FROM generate_series(1, 5000) n""",
        world.tenant_id,
        slot.machine_id,
    )
    await connection.close()
    owner = await asyncpg.connect(**credentials(owner_url))
    await owner.execute("ANALYZE orders")
    await owner.execute("SELECT set_config('app.tenant', $1, false)", str(world.tenant_id))
    await owner.execute("SET ROLE larder_app")  # the owner keeps watch over all tenants, so it has other plans
    moment = datetime.now(UTC) - timedelta(minutes=100)
    for query in (
        "SELECT id FROM orders WHERE (placed_at, id) < ($1, $2) ORDER BY placed_at DESC, id DESC LIMIT 50",
        "SELECT id FROM orders WHERE machine_id = $2 AND placed_at < $1 ORDER BY placed_at DESC, id DESC LIMIT 50",
        "SELECT id FROM orders WHERE id = $2 AND placed_at < $1",
    ):
        plan = "\n".join(row[0] for row in await owner.fetch("EXPLAIN " + query, moment, slot.machine_id))
        assert "Index" in plan, plan
        assert "Seq Scan on orders" not in plan, plan
    await owner.close()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nowhere", 404, "There is nothing here"),
        ("/orders?cursor=x", 422, "is none of this list"),
        ("/logout", 405, "Method Not Allowed"),
    ],
)
async def test_a_person_is_told_what_went_wrong_on_a_page(world: World, path: str, status: int, words: str) -> None:
    signed_in = await world.client.post("/login", form=world.credentials)
    secret = signed_in.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    world.client.set_cookie("localhost", "__Host-larder", secret)
    answer = await world.client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    page = await answer.get_data(as_text=True)
    assert words in page
    assert answer.headers["X-Request-Id"] in page
    assert (await world.client.get(path)).mimetype == "application/problem+json"
