"""The real cloud with its real Postgres, in the test's process, with the demo's tenant in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from quart import Quart

from cloud import demo, schema
from cloud.app import create_app
from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.demo import Seeded
from cloud.failpoints import Failpoints
from cloud.live import LiveSettings
from cloud.mail import Carrier
from cloud.object_store import ObjectStore
from cloud.pictures.service import PictureLimits
from cloud.postgres import EmbeddedPostgres
from cloud.rates import Rate
from cloud.settings import Live
from edge.kiosk.server import bind, serve
from tests.fakes import encryption_keys, release_key
from tests.fakes.mailbox import Mailbox
from tests.fakes.memory_objects import memory_objects
from tests.fakes.settings_key import OPERATOR

OFTEN = Rate(100_000, 1)
"""As often as tests like: what is limited is tried in tests of the limits."""


@dataclass(frozen=True)
class PostgresCloud:
    """Where it listens, and its books."""

    url: str
    seeded: Seeded
    database: Database

    async def lines(self) -> list[tuple[int, bytes]]:
        """Epoch and line of every fact it holds, in order."""
        rows = await self._rows("SELECT epoch, line FROM facts ORDER BY epoch, seq")
        return [(row["epoch"], bytes(row["line"])) for row in rows]

    async def chain(self) -> bytes:
        """The hash at the mark it has acknowledged."""
        rows = await self._rows("SELECT chain FROM gateways")
        return bytes(rows[0]["chain"])

    async def dead_letters(self) -> int:
        """Facts that could not take effect."""
        return len(await self._rows("SELECT 1 FROM dead_letters"))

    async def stock(self, machine_id: str) -> dict[str, int]:
        """Units by slot."""
        rows = await self._rows("SELECT slot, quantity FROM stock WHERE machine_id = $1", UUID(machine_id))
        return {row["slot"]: row["quantity"] for row in rows}

    async def _rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        return await tenant_rows(self.database, demo.TENANT_ID, sql, *values)


async def tenant_rows(
    database: Database, tenant_id: UUID, sql: str, *values: object, address: str = ""
) -> list[dict[str, Any]]:
    """What the rows of a tenant say, and those of the user who has this address."""

    async def work(transaction: Transaction) -> list[dict[str, Any]]:
        await transaction.show_address(address)
        user = await transaction.fetch_one("SELECT id FROM users WHERE email_key = $1", address)
        if user is not None:
            await transaction.become_person(user["id"])
        return [dict(row) for row in await transaction.fetch(sql, *values)]

    return await database.unit("test", work, tenant_id=tenant_id)


def cloud_app(
    database_url: str,
    draining: asyncio.Event,
    carrier: Carrier | None = None,
    *,
    database: Database | None = None,
    live: LiveSettings | None = None,
    objects: ObjectStore | None = None,
    picture_limits: PictureLimits | None = None,
) -> Quart:
    """The cloud's application, which believes the tests' release key and signs settings as their operator."""
    return create_app(
        database_url,
        clock=Clock(),
        failpoints=Failpoints(),
        draining=draining,
        carrier=carrier or Mailbox(),
        objects=objects or memory_objects(),
        picture_limits=picture_limits,
        pool_size=4,
        keyring=encryption_keys.keyring(),
        release_keys=[release_key.PUBLIC],
        signer=OPERATOR.signer,
        database=database,
        live=live or LiveSettings(Live(rate_address=OFTEN, rate_gateway=OFTEN, rate_actor=OFTEN, rate_tenant=OFTEN)),
    )


@asynccontextmanager
async def running_cloud(folder: Path) -> AsyncIterator[PostgresCloud]:
    """Migrated, seeded, served on a free port of loopback."""
    postgres = EmbeddedPostgres(folder, durable=False)
    owner_url = await postgres.start()
    try:
        await schema.migrate(owner_url)
        database = Database(postgres.app_url, Failpoints(), pool_size=1)
        await database.open()
        try:
            seeded = await demo.seed(database, Clock())
            assert seeded is not None
            async with _served(postgres.app_url) as where:
                yield PostgresCloud(where, seeded, database)
        finally:
            await database.close()
    finally:
        await postgres.stop()


@asynccontextmanager
async def _served(database_url: str) -> AsyncIterator[str]:
    draining = asyncio.Event()
    # A quarter of the pool may export at once: enough for clients that ask together, and for one that has just left.
    app = cloud_app(database_url, draining, database=Database(database_url, Failpoints(), pool_size=16))
    listener = bind("127.0.0.1", 0)
    where = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = asyncio.create_task(serve(app, listener, draining), name="cloud")
    try:
        yield where
    finally:
        draining.set()
        await server
