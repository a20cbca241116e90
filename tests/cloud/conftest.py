"""One Postgres a session, one migrated template, one database a test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import pytest
from quart import Quart, Response
from quart.typing import TestClientProtocol as QuartClient

from cloud import demo, schema
from cloud.cache import OLDEST_SECONDS
from cloud.clock import Clock, new_id
from cloud.database import Database, Work, credentials
from cloud.demo import Seeded
from cloud.failpoints import Failpoints
from cloud.postgres import EmbeddedPostgres
from shared.onboarding import GatewayClaimed
from shared.sync import Ack
from tests.fakes.gateway_client import GatewayClient, Slot
from tests.fakes.mailbox import Mailbox
from tests.fakes.postgres_cloud import cloud_app, tenant_rows
from tests.fakes.quick_folder import quick_folder

T = TypeVar("T")
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Server:
    """A running Postgres with two templates: `larder`, migrated, and `larder_seeded`, with the demo's tenant in it."""

    postgres: EmbeddedPostgres
    seeded: Seeded

    def url(self, database: str) -> str:
        return self.postgres.url("larder_app", database)

    def owner_url(self, database: str) -> str:
        return self.postgres.url("larder_owner", database)

    async def administer(self, statement: str) -> None:
        connection = await asyncpg.connect(**credentials(self.postgres.url("postgres", "postgres")))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with quick_folder() as folder:
        postgres = EmbeddedPostgres(folder, durable=False)
        yield Server(postgres, asyncio.run(_templates(postgres)))
        asyncio.run(postgres.stop())


async def _templates(postgres: EmbeddedPostgres) -> Seeded:
    await schema.migrate(await postgres.start())
    connection = await asyncpg.connect(**credentials(postgres.url("postgres", "postgres")))
    await connection.execute("CREATE DATABASE larder_seeded OWNER larder_owner TEMPLATE larder")
    await connection.close()
    database = Database(postgres.url("larder_app", "larder_seeded"), Failpoints(), pool_size=1)
    await database.open()
    seeded = await demo.seed(database, Clock())
    await database.close()
    assert seeded is not None
    return seeded


@pytest.fixture
async def database_url(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A database of its own for each test; seeded, where the test is about the demo's world."""
    name = f"t{new_id().hex}"
    template = "larder_seeded" if "world" in request.fixturenames else "larder"
    await server.administer(f"CREATE DATABASE {name} OWNER larder_owner TEMPLATE {template} STRATEGY FILE_COPY")
    yield server.url(name)
    await server.administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def owner_url(server: Server, database_url: str) -> str:
    """The same database, as the owner of its tables."""
    return server.owner_url(credentials(database_url)["database"])


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, Failpoints())
    await opened.open()
    yield opened
    await opened.close()


@dataclass
class World:
    """A running app on a fresh database, with a seeded tenant and its claimed gateway."""

    app: Quart
    client: QuartClient
    database: Database
    url: str
    seeded: Seeded
    gateway: GatewayClient
    draining: asyncio.Event
    mailbox: Mailbox

    @property
    def tenant_id(self) -> UUID:
        return UUID(self.seeded.tenant_id)

    @property
    def operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.seeded.api_key}"}

    @property
    def credentials(self) -> dict[str, str]:
        """By which the tenant's first user signs in: an admin without a second factor."""
        return {"email": self.seeded.email, "password": self.seeded.password}

    async def slot(self, machine: int = 0, code: str = "A1") -> Slot:
        """A slot of the demo's machines."""
        rows = await self.rows(
            "SELECT p.machine_id, s.device_id, s.product_id, s.slot, s.price_minor FROM planogram_slots s"
            " JOIN planograms p ON p.id = s.planogram_id WHERE p.machine_id = $1 AND s.slot = $2",
            UUID(self.seeded.machines[machine].machine_id),
            code,
        )
        return Slot(**rows[0])

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """What the tenant's rows say, and those of its first user."""
        return await tenant_rows(self.database, self.tenant_id, sql, *values, address=self.seeded.email)

    async def do(self, work: Work[T]) -> T:
        """Work for the tenant."""
        return await self.database.unit("test", work, tenant_id=self.tenant_id)

    async def refused(self, path: str, headers: dict[str, str]) -> Any:
        """The problem a GET is refused with, once the app has heard what another process did."""
        async with asyncio.timeout(OLDEST_SECONDS - 1):
            while (answer := await self.client.get(path, headers=headers)).status_code == 200:
                pass
        assert answer.status_code == 401
        return await answer.get_json()

    async def push(self, first: int = 1, count: int | None = None) -> Response:
        """POST a batch of the gateway's facts."""
        return await self.client.post(
            "/v1/sync/facts", data=self.gateway.packed(first, count), headers=self.gateway.headers()
        )

    async def acknowledged(self, first: int = 1, count: int | None = None) -> Ack:
        """POST a batch that must be taken."""
        answer = await self.push(first, count)
        assert answer.status_code == 200, await answer.get_data()
        return Ack.model_validate_json(await answer.get_data())


async def claim(client: QuartClient, gateway: GatewayClient, code: str) -> None:
    """Let a gateway in."""
    answer = await client.post("/v1/claim", data=gateway.wish(code).to_line(), headers=JSON)
    assert answer.status_code == 200, await answer.get_data()
    gateway.claimed = GatewayClaimed.model_validate_json(await answer.get_data())


@pytest.fixture
async def world(server: Server, database: Database, database_url: str) -> AsyncIterator[World]:
    draining = asyncio.Event()
    mailbox = Mailbox()
    app = cloud_app(database_url, draining, mailbox)
    seeded = server.seeded
    async with app.test_app() as running:
        client = running.test_client()
        gateway = GatewayClient()
        await claim(client, gateway, seeded.gateway_claim_code)
        yield World(app, client, database, database_url, seeded, gateway, draining, mailbox)
