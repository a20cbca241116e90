"""Clients that leave during a POST (RELIABILITY R12): no lock, no pool connection, no descriptor stays behind.

Real Hypercorn, raw sockets that are reset at a random moment of the exchange. The seed is printed.
"""

import asyncio
import os
import random
import socket
import struct
import time
from pathlib import Path

import asyncpg
import httpx
import pytest

from cloud import demo, schema
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction, credentials
from cloud.failpoints import Failpoints
from cloud.postgres import EmbeddedPostgres
from shared.inventory import Reason
from shared.onboarding import GatewayClaimed
from tests.cloud.processes import CloudProcess, serving
from tests.fakes.gateway_client import GatewayClient, Slot

CLIENTS = int(os.environ.get("LARDER_LEAVING_CLIENTS", "500"))
POOL = 3
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send a reset at once."""

pytestmark = pytest.mark.timeout(300)


async def leave(port: int, request: bytes, chance: random.Random) -> None:
    """Send the request, or a part of it, and be gone at some moment of its handling."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    cut = len(request) if chance.random() < 0.8 else chance.randrange(len(request))
    writer.write(request[:cut])
    await writer.drain()
    await asyncio.sleep(chance.uniform(0, 0.02))
    writer.transport.abort()


def post(gateway: GatewayClient) -> bytes:
    body = gateway.packed()
    headers = gateway.headers() | {"Host": "cloud", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    return f"POST /v1/sync/facts HTTP/1.1\r\n{head}\r\n".encode() + body


def descriptors(cloud: CloudProcess) -> int:
    return len(os.listdir(f"/proc/{cloud.process.pid}/fd"))  # noqa: PTH208  no Path for a count


async def claimed(cloud: CloudProcess, code: str) -> GatewayClient:
    gateway = GatewayClient()
    async with httpx.AsyncClient(base_url=cloud.url) as client:
        answer = await client.post(
            "/v1/claim", content=gateway.wish(code).to_line(), headers={"Content-Type": "application/json"}
        )
    gateway.claimed = GatewayClaimed.model_validate_json(answer.content)
    return gateway


async def slot_of(database: Database) -> Slot:
    async def work(transaction: Transaction) -> Slot:
        row = await transaction.fetch_one(
            "SELECT p.machine_id, s.device_id, s.product_id, s.slot, s.price_minor FROM planogram_slots s"
            " JOIN planograms p ON p.id = s.planogram_id LIMIT 1"
        )
        assert row is not None
        return Slot(**row)

    return await database.unit("lab", work, tenant_id=demo.TENANT_ID)


async def test_clients_that_leave_leave_nothing_behind(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path, durable=False)
    url = await postgres.start()
    try:
        await schema.migrate(url)
        database = Database(url, Failpoints(), pool_size=1)
        await database.open()
        try:
            await leave_often(postgres, database, url)
        finally:
            await database.close()
    finally:
        await postgres.stop()


async def leave_often(postgres: EmbeddedPostgres, database: Database, url: str) -> None:
    seed = new_id().int & 0xFFFFFFFF
    print(f"seed {seed}, {CLIENTS} clients, pool of {POOL}")
    chance = random.Random(seed)
    seeded = await demo.seed(database, Clock())
    assert seeded is not None
    slot = await slot_of(database)
    async with serving(url, LARDER_CLOUD_POOL_SIZE=str(POOL)) as cloud:
        gateway = await claimed(cloud, seeded.gateway_claim_code)
        gateway.move(slot, 10, Reason.OPENING)
        before = descriptors(cloud)
        for _ in range(0, CLIENTS, 20):
            gateway.sell(slot)
            await asyncio.gather(*(leave(cloud.port, post(gateway), chance) for _ in range(20)))
        begun = time.monotonic()
        async with httpx.AsyncClient(base_url=cloud.url, timeout=10) as client:
            answer = await client.post("/v1/sync/facts", content=gateway.packed(), headers=gateway.headers())
        print(f"next batch answered in {(time.monotonic() - begun) * 1000:.0f} ms")
        assert answer.json()["seq"] == len(gateway.lines)
        await settled(postgres)
        assert descriptors(cloud) <= before + 5


async def settled(postgres: EmbeddedPostgres) -> None:
    """Every connection becomes idle again, and there are no more than the pool may have."""
    connection = await asyncpg.connect(**credentials(postgres.url("postgres", "postgres")))
    wait_until_idle = """
        DO $$ BEGIN
            FOR attempt IN 1..200 LOOP
                PERFORM pg_stat_clear_snapshot();
                EXIT WHEN NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = 'larder' AND state <> 'idle');
                PERFORM pg_sleep(0.05);
            END LOOP;
        END $$
    """
    await connection.execute(wait_until_idle)
    states = await connection.fetch(
        "SELECT application_name AS name, state FROM pg_stat_activity WHERE datname = 'larder'"
    )
    await connection.close()
    assert {row["state"] for row in states} == {"idle"}
    ours = [row for row in states if row["name"] == "larder-cloud"]
    assert len(ours) <= POOL + 1  # the cloud's pool, and the one connection of this test
