"""One Postgres a session, one migrated template, one database a test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from cloud import schema
from cloud.clock import new_id
from cloud.database import Database, credentials
from cloud.failpoints import Failpoints
from cloud.postgres import EmbeddedPostgres


@dataclass(frozen=True)
class Server:
    """A running Postgres with a migrated template database `larder`."""

    postgres: EmbeddedPostgres

    def url(self, database: str) -> str:
        return self.postgres.url("larder_owner", database)

    async def administer(self, statement: str) -> None:
        connection = await asyncpg.connect(**credentials(self.postgres.url("postgres", "postgres")))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("pg")
    postgres = EmbeddedPostgres(folder, durable=False)

    async def start() -> None:
        await schema.migrate(await postgres.start())

    asyncio.run(start())
    yield Server(postgres)
    asyncio.run(postgres.stop())


@pytest.fixture
async def database_url(server: Server) -> AsyncIterator[str]:
    name = f"t{new_id().hex}"
    await server.administer(f"CREATE DATABASE {name} OWNER larder_owner TEMPLATE larder")
    yield server.url(name)
    await server.administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, Failpoints())
    await opened.open()
    yield opened
    await opened.close()
