"""The cloud as a process: it drains when told, and loses nothing when killed at any named point."""

import asyncio
import signal
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from cloud import demo
from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.demo import Seeded
from cloud.failpoints import CRASH_STATUS
from shared.inventory import Reason
from shared.onboarding import GatewayClaimed
from shared.sync import Ack
from tests.cloud.processes import serving
from tests.fakes.gateway_client import GatewayClient, Slot
from tests.fakes.postgres_cloud import tenant_rows

JSON = {"Content-Type": "application/json"}
QUICK = ["claim.after_commit", "sync.facts.after_commit"]
FAILPOINTS = [
    *QUICK,
    *(
        pytest.param(name, marks=pytest.mark.lab)
        for name in (
            "claim.before_commit",
            "claim.before_reply",
            "sync.facts.before_commit",
            "sync.facts.before_reply",
            "sync.telemetry.before_commit",
            "sync.telemetry.after_commit",
            "sync.telemetry.before_reply",
            "sync.changes.after_commit",
        )
    ),
]


@pytest.fixture
async def seeded(database: Database) -> Seeded:
    made = await demo.seed(database, Clock())
    assert made is not None
    return made


async def story(url: str, gateway: GatewayClient, seeded: Seeded, slot: Slot) -> Ack:
    """All a gateway says once; safe to tell again from the start."""
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        answer = await client.post("/v1/claim", content=gateway.wish(seeded.gateway_claim_code).to_line(), headers=JSON)
        gateway.claimed = GatewayClaimed.model_validate_json(answer.content)
        await client.get("/v1/sync/changes", headers=gateway.authorisation())
        sample = (
            f'{{"device_id":"{slot.device_id}","machine_id":"{slot.machine_id}","at":"2026-01-01T00:00:00Z",'
            '"firmware":null,"uptime_s":1,"free_bytes":null,"rssi_dbm":null,"journal_bytes":null}'
        )
        body = f'{{"samples":[{sample}]}}'
        assert (
            await client.post("/v1/sync/telemetry", content=body, headers=gateway.authorisation() | JSON)
        ).status_code == 204
        answer = await client.post("/v1/sync/facts", content=gateway.packed(), headers=gateway.headers())
        return Ack.model_validate_json(answer.content)


async def stand(database: Database, tenant_id: str) -> dict[str, int]:
    async def work(transaction: Transaction) -> dict[str, int]:
        row = await transaction.fetch_one(
            "SELECT (SELECT count(*) FROM facts) AS facts, (SELECT count(*) FROM orders) AS orders,"
            " (SELECT count(*) FROM dead_letters) AS dead, (SELECT sum(quantity)::int FROM stock) AS stock"
        )
        assert row is not None
        return dict(row)

    return await database.unit("test", work, tenant_id=demo.TENANT_ID)


async def any_slot(database: Database) -> Slot:
    async def work(transaction: Transaction) -> Slot:
        row = await transaction.fetch_one(
            "SELECT p.machine_id, s.device_id, s.product_id, s.slot, s.price_minor FROM planogram_slots s"
            " JOIN planograms p ON p.id = s.planogram_id WHERE s.slot = 'A1' LIMIT 1"
        )
        assert row is not None
        return Slot(**row)

    return await database.unit("test", work, tenant_id=demo.TENANT_ID)


@pytest.mark.parametrize("failpoint", FAILPOINTS)
async def test_killed_at_a_named_point_it_loses_and_repeats_nothing(
    database: Database, database_url: str, seeded: Seeded, failpoint: str
) -> None:
    gateway, slot = GatewayClient(), await any_slot(database)
    gateway.move(slot, 10, Reason.OPENING)
    gateway.sell(slot)
    async with serving(database_url, LARDER_FAILPOINT=failpoint) as cloud:
        with pytest.raises(httpx.TransportError):
            await story(cloud.url, gateway, seeded, slot)
        assert await cloud.ended(10) == CRASH_STATUS
    async with serving(database_url) as cloud:
        ack = await story(cloud.url, gateway, seeded, slot)
    assert (ack.seq, ack.chain) == (len(gateway.lines), gateway.hashes[-1].hex())
    assert await stand(database, seeded.tenant_id) == {"facts": len(gateway.lines), "orders": 1, "dead": 0, "stock": 9}


@pytest.mark.parametrize("point", ["after_commit", pytest.param("before_commit", marks=pytest.mark.lab)])
async def test_killed_before_its_reply_it_creates_once_and_gives_the_reply_then(
    database: Database, database_url: str, seeded: Seeded, point: str
) -> None:
    headers = {"Authorization": f"Bearer {seeded.api_key}", "Idempotency-Key": str(uuid4())}

    async def create(url: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=url, timeout=10, headers=headers) as client:
            return await client.post("/v1/catalog/products", json={"name": "Ginger Tea"})

    async with serving(database_url, LARDER_FAILPOINT=f"catalog.create_product.{point}") as cloud:
        with pytest.raises(httpx.TransportError):
            await create(cloud.url)
        assert await cloud.ended(10) == CRASH_STATUS
    async with serving(database_url) as cloud:
        answer = await create(cloud.url)
    rows = await tenant_rows(database, demo.TENANT_ID, "SELECT id FROM products WHERE name = 'Ginger Tea'")
    assert (answer.status_code, [str(row["id"]) for row in rows]) == (201, [answer.json()["product_id"]])
    assert ("Idempotency-Replayed" in answer.headers) == (point == "after_commit")


@pytest.mark.parametrize("how", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.lab)])
async def test_it_drains_with_streams_open(
    database: Database, database_url: str, seeded: Seeded, how: signal.Signals
) -> None:
    gateway, slot = GatewayClient(), await any_slot(database)
    gateway.move(slot, 10, Reason.OPENING)
    async with serving(database_url) as cloud:
        await story(cloud.url, gateway, seeded, slot)
        bell = f"ws://127.0.0.1:{cloud.port}/v1/sync/doorbell"
        async with (
            connect(bell, additional_headers=gateway.authorisation()) as line,
            httpx.AsyncClient(base_url=cloud.url, timeout=10) as browser,
        ):
            assert await line.recv() == "pull"
            secret = (await browser.post("/login", data={"email": seeded.email, "password": seeded.password})).cookies[
                "__Host-larder"
            ]
            cookie = {"Cookie": f"__Host-larder={secret}"}
            async with browser.stream("GET", "/orders/events", headers=cookie) as events:
                chunks = events.aiter_bytes()
                assert b"retry" in await anext(chunks)
                cloud.process.send_signal(how)
                assert await cloud.ended(5) == 0
                assert [chunk async for chunk in chunks if b"event" in chunk] == []
            with pytest.raises(ConnectionClosed) as closed:
                await line.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001


async def test_a_doorbell_without_a_good_token_is_refused_with_401(database_url: str) -> None:
    async with serving(database_url) as cloud, asyncio.timeout(10):
        async with httpx.AsyncClient(base_url=cloud.url) as client:
            answer = await client.get(
                "/v1/sync/doorbell",
                headers={
                    "Connection": "Upgrade",
                    "Upgrade": "websocket",
                    "Sec-WebSocket-Version": "13",
                    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
                    "Authorization": "Bearer nothing",
                },
            )
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
