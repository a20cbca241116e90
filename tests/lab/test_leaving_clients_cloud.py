"""Clients that leave during a POST (RELIABILITY R12): no lock, no pool connection, no descriptor stays behind.

Real Hypercorn, raw sockets that are reset at a random moment of the exchange: gateways that push facts, and programs
that create products under an idempotency key or read an export, of several tenants by turns. The seed is printed.
"""

import asyncio
import os
import random
import socket
import statistics
import struct
import time
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from cloud import schema
from cloud.auth.keys import create_key
from cloud.callers import system
from cloud.catalog import service as catalog
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction, credentials
from cloud.devices import service as devices
from cloud.failpoints import Failpoints
from cloud.onboarding import service as onboarding
from cloud.permissions import Permission
from cloud.postgres import EmbeddedPostgres
from shared.contract import Rail
from shared.inventory import Reason
from shared.onboarding import GatewayClaimed
from tests.cloud.processes import CloudProcess, serving
from tests.fakes.gateway_client import GatewayClient, Slot

CLIENTS = int(os.environ.get("LARDER_LEAVING_CLIENTS", "500"))
POOL = 3
TENANTS = 4
AT_ONCE = 20
PROBES = 3
NEXT_ORDER_MS = 200
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send a reset at once."""

pytestmark = pytest.mark.timeout(300)


PRODUCT = b'{"name":"Cashews"}'
OFTEN = "1000000/60"
"""What is limited is tried elsewhere."""


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


@dataclass
class Member:
    """A tenant's gateway among the clients."""

    gateway: GatewayClient
    slot: Slot
    api_key: str
    acknowledged: int = 0
    keys: list[UUID] = field(default_factory=list)
    """Of products that programs asked for, and perhaps did not wait for."""

    def request(self) -> bytes:
        """The POST of all that the cloud has not acknowledged."""
        body = self.gateway.packed(self.acknowledged + 1)
        headers = self.gateway.headers() | {"Host": "cloud", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        return f"POST /v1/sync/facts HTTP/1.1\r\n{head}\r\n".encode() + body

    def create(self) -> bytes:
        """The POST of a product, under a key of its own."""
        self.keys.append(uuid4())
        headers = {**self.creating(self.keys[-1]), "Host": "cloud", "Content-Length": str(len(PRODUCT))}
        head = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        return f"POST /v1/catalog/products HTTP/1.1\r\n{head}\r\n".encode() + PRODUCT

    def creating(self, key: UUID) -> dict[str, str]:
        """The headers of that POST."""
        told = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        return told | {"Idempotency-Key": str(key)}

    def export(self) -> bytes:
        """The GET of all orders."""
        head = f"Host: cloud\r\nAuthorization: Bearer {self.api_key}\r\n"
        return f"GET /v1/orders/export?format=ndjson HTTP/1.1\r\n{head}\r\n".encode()

    async def create_again(self, client: httpx.AsyncClient) -> None:
        """All of them, by somebody who stays: each is there once, whether or not it was before."""
        made = set()
        for key in self.keys:
            answer = await client.post("/v1/catalog/products", content=PRODUCT, headers=self.creating(key))
            assert answer.status_code == HTTPStatus.CREATED, answer.text
            made.add(answer.json()["product_id"])
        listed = await client.get("/v1/catalog/products?limit=200", headers=self.creating(uuid4()))
        there = [row["product_id"] for row in listed.json()["products"] if row["name"] == "Cashews"]
        assert len(made) == len(self.keys)
        assert len(there) == min(len(made), 200) or listed.json()["next_cursor"] is not None

    async def push(self, client: httpx.AsyncClient) -> None:
        """The same, by somebody who stays; again while the unit of one who left still has the gateway's row."""
        body = self.gateway.packed(self.acknowledged + 1)
        async with asyncio.timeout(10):
            while True:
                answer = await client.post("/v1/sync/facts", content=body, headers=self.gateway.headers())
                if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                    break
                await asyncio.sleep(0.02)
        assert answer.status_code == HTTPStatus.OK, answer.text
        self.acknowledged = answer.json()["seq"]
        assert self.acknowledged == len(self.gateway.lines)


async def joined(cloud: CloudProcess, database: Database, number: int) -> Member:
    """A new tenant with one machine, and its claimed gateway."""
    tenant_id, now = new_id(), Clock().now()

    async def work(transaction: Transaction) -> tuple[str, str, Slot]:
        await onboarding.create_tenant(transaction, system("test"), tenant_id, f"tenant {number}")
        site_id = await onboarding.create_site(tenant_id, "hall", "INR")
        gateway_id = await onboarding.create_gateway(tenant_id, site_id, "gateway")
        code = await onboarding.issue_claim_code(transaction, system("test"), tenant_id, gateway_id, now)
        machine_id = await catalog.create_machine(transaction, tenant_id, site_id, "snacks", Rail.FREE)
        device_id, _ = await devices.expect_device(transaction, tenant_id, site_id, machine_id, "board", now)
        product_id = await catalog.create_product(tenant_id, "Peanuts")
        scopes = [Permission.CATALOG_READ, Permission.CATALOG_WRITE, Permission.ORDERS_READ]
        key = await create_key(transaction, tenant_id, system("test"), "lab", scopes, now, timedelta(days=1))
        return code, key.secret, Slot(machine_id, device_id, product_id)

    code, api_key, slot = await database.unit("lab", work, tenant_id=tenant_id)
    gateway = await claimed(cloud, code)
    gateway.move(slot, 10, Reason.OPENING)
    return Member(gateway, slot, api_key)


async def test_clients_that_leave_leave_nothing_behind(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path, durable=False)
    owner_url = await postgres.start()
    try:
        await schema.migrate(owner_url)
        url = postgres.app_url
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
    async with (
        serving(
            url,
            LARDER_CLOUD_POOL_SIZE=str(POOL),
            LARDER_CLOUD_RATE_ADDRESS=OFTEN,
            LARDER_CLOUD_RATE_ACTOR=OFTEN,
            LARDER_CLOUD_RATE_TENANT=OFTEN,
            LARDER_CLOUD_RATE_GATEWAY=OFTEN,
            LARDER_CLOUD_RATE_GATEWAYS_ADDRESS=OFTEN,
        ) as cloud,
        httpx.AsyncClient(base_url=cloud.url, timeout=10) as client,
    ):
        members = [await joined(cloud, database, number) for number in range(TENANTS)]
        await asyncio.gather(*(member.push(client) for member in members))
        before = descriptors(cloud)
        for _ in range(0, CLIENTS, AT_ONCE):
            for member in members:
                member.gateway.sell(member.slot)
            leaving = [asked(members[number % TENANTS], number) for number in range(AT_ONCE)]
            await asyncio.gather(*(leave(cloud.port, request, chance) for request in leaving))
            await asyncio.gather(*(member.push(client) for member in members))
        for member in members:
            await member.create_again(client)
        probes = [await probe(client, member) for _ in range(PROBES) for member in members]
        told = f"{statistics.median(probes):.1f} ms (slowest of {len(probes)}: {max(probes):.1f} ms)"
        print(f"next order acknowledged in {told}")
        assert statistics.median(probes) <= NEXT_ORDER_MS, told
        await settled(postgres)
        assert descriptors(cloud) <= before + 5


def asked(member: Member, number: int) -> bytes:
    """Half push facts, a quarter each create something or read all orders."""
    match number // TENANTS % 4:
        case 1:
            return member.create()
        case 3:
            return member.export()
    return member.request()


async def probe(client: httpx.AsyncClient, member: Member) -> float:
    """Milliseconds for the next order."""
    member.gateway.sell(member.slot)
    begun = time.monotonic()
    await member.push(client)
    return (time.monotonic() - begun) * 1000


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
