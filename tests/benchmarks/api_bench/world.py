"""A fleet at size with somebody to ask about it: a person, a key, gateways that push, and gateways that only listen."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
from joserfc.jwk import OKPKey

from cloud import schema
from cloud.auth.invitations import create_user
from cloud.auth.keys import create_key
from cloud.auth.members import Standing, join
from cloud.auth.passwords import Passwords
from cloud.callers import system
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction, credentials
from cloud.failpoints import Failpoints
from cloud.permissions import Permission, Role
from cloud.postgres import EmbeddedPostgres
from shared.inventory import Reason
from shared.onboarding import GatewayClaimed
from tests.fakes.gateway_client import GatewayClient, Slot
from tests.lab.size_fill import fill

EMAIL, PHRASE = "bench@larder.example", "as long as a pass phrase is"
BATCH_FACTS = 50
PUSHING = 20
"""Gateways that push facts."""
SAMPLE = 2_000
"""Orders and machines that are asked for."""

_TENANTS = "SELECT tenant_id FROM machines GROUP BY 1 ORDER BY count(*) DESC"
_MACHINES = "SELECT id FROM machines WHERE tenant_id = $1 ORDER BY md5(id::text) LIMIT $2"
_ORDERS = "SELECT id FROM orders WHERE tenant_id = $1 ORDER BY md5(id::text) LIMIT $2"
_SLOTS = """
    SELECT DISTINCT ON (g.id) g.id AS gateway_id, g.site_id, m.id AS machine_id, d.id AS device_id,
           (SELECT p.id FROM products p WHERE p.tenant_id = g.tenant_id LIMIT 1) AS product_id
    FROM gateways g JOIN machines m USING (tenant_id, site_id)
    JOIN devices d ON d.tenant_id = g.tenant_id AND d.machine_id = m.id
    WHERE g.tenant_id = $1 ORDER BY g.id LIMIT $2
"""
_SITES = "INSERT INTO sites (tenant_id, id, name, currency) SELECT $1, id, 'L', 'INR' FROM unnest($2::uuid[]) AS id"
_GATEWAYS = """
    INSERT INTO gateways (tenant_id, id, site_id, name, public_key)
    SELECT $1, u.id, u.site_id, 'L', $4 FROM unnest($2::uuid[], $3::uuid[]) AS u (id, site_id)
"""


@dataclass
class Pusher:
    """A gateway that sells from one slot, and tells of it in batches."""

    gateway: GatewayClient
    slot: Slot
    next_seq: int = 1

    def batches(self, count: int) -> Iterator[bytes]:
        """The next bodies, each of BATCH_FACTS."""
        for _ in range(count):
            first, self.next_seq = self.next_seq, self.next_seq + BATCH_FACTS
            while len(self.gateway.lines) < self.next_seq:
                self.gateway.move(self.slot, 10, Reason.RESTOCK)
                for _ in range(10):
                    self.gateway.sell(self.slot)
            yield self.gateway.packed(first, BATCH_FACTS)


@dataclass
class World:
    """All that may be asked, in the largest tenant. Those who only listen are of another."""

    url: str
    postgres_pid: int
    tenant_id: UUID
    api_key: str
    order_ids: Sequence[UUID]
    machine_ids: Sequence[UUID]
    pushers: Sequence[Pusher]
    listeners: Sequence[GatewayClient]


@asynccontextmanager
async def world_at_size(
    folder: Path, orders: int, machines: int, listeners: int, *, durable: bool = True
) -> AsyncIterator[World]:
    """Filled and served by a Postgres of its own, with so many gateways that listen."""
    postgres = EmbeddedPostgres(folder, durable=durable)
    try:
        await schema.migrate(await postgres.start())
        superuser = await asyncpg.connect(**credentials(postgres.url("postgres", "larder")))
        await fill(superuser, orders, machines)
        pid = int((folder / "postgres/data/postmaster.pid").read_text().split()[0])
        yield await _made(superuser, postgres.app_url, pid, listeners)
        await superuser.close()
    finally:
        await postgres.stop()


async def _made(superuser: asyncpg.Connection, url: str, pid: int, listeners: int) -> World:
    tenant_id, *_, another_id = [row["tenant_id"] for row in await superuser.fetch(_TENANTS)]
    key = OKPKey.generate_key("Ed25519")
    hanging = [_gateway(key, another_id, new_id(), new_id()) for _ in range(listeners)]
    places = [gateway.claimed for gateway in hanging if gateway.claimed is not None]
    ids, sites = [place.gateway_id for place in places], [place.site_id for place in places]
    await superuser.execute(_SITES, another_id, sites)
    await superuser.execute(_GATEWAYS, another_id, ids, sites, hanging[0].public_key)
    pushers = []
    for row in await superuser.fetch(_SLOTS, tenant_id, PUSHING):
        gateway = _gateway(key, tenant_id, row["site_id"], row["gateway_id"])
        gateway.begin_epoch(2)
        pushers.append(Pusher(gateway, Slot(row["machine_id"], row["device_id"], row["product_id"])))
    pushing = [row.gateway.claimed.gateway_id for row in pushers if row.gateway.claimed is not None]
    await superuser.execute(
        "UPDATE gateways SET public_key = $2 WHERE id = ANY ($1::uuid[])", pushing, hanging[0].public_key
    )
    world = World(
        url=url,
        postgres_pid=pid,
        tenant_id=tenant_id,
        api_key=await _people(url, tenant_id),
        order_ids=[row["id"] for row in await superuser.fetch(_ORDERS, tenant_id, SAMPLE)],
        machine_ids=[row["id"] for row in await superuser.fetch(_MACHINES, tenant_id, SAMPLE)],
        pushers=pushers,
        listeners=hanging,
    )
    await superuser.execute("ANALYZE sites, gateways")
    await superuser.execute("CHECKPOINT")
    return world


def _gateway(key: OKPKey, tenant_id: UUID, site_id: UUID, gateway_id: UUID) -> GatewayClient:
    """All have one key, which is quicker than making thousands."""
    where = {"gateway_id": gateway_id, "tenant_id": tenant_id, "site_id": site_id}
    return GatewayClient(key, GatewayClaimed(**where, site_name="L", currency="INR", server_time=datetime.now(UTC)))


async def _people(url: str, tenant_id: UUID) -> str:
    """Somebody who may look, and an API key that may do all."""
    passwords, now = Passwords(), Clock().now()
    hashed = await passwords.hash(PHRASE)
    passwords.close()

    async def work(transaction: Transaction) -> str:
        user_id, scopes = new_id(), sorted(Permission)
        await create_user(transaction, user_id, EMAIL, "Bench", hashed, now)
        await join(transaction, tenant_id, user_id, "Bench", Standing(Role.VIEWER, (), ()), now)
        made = await create_key(transaction, tenant_id, system("bench"), "bench", scopes, now, timedelta(days=1))
        return made.secret

    database = Database(url, Failpoints(), pool_size=1)
    await database.open()
    try:
        return await database.unit("bench", work, tenant_id=tenant_id)
    finally:
        await database.close()
