"""A tenant that moves from LowDB, and what it has there."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cloud.callers import system
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction, credentials
from cloud.lowdb.mapping import Mapping, built_in
from cloud.lowdb.originals import Originals
from cloud.lowdb.pictures import PicturesTaking
from cloud.lowdb.report import Report
from cloud.lowdb.service import Import
from cloud.object_store import ObjectStore
from cloud.onboarding import service as onboarding
from cloud.pictures.service import PictureLimits, Pictures
from tests.fakes import encryption_keys
from tests.fakes.memory_objects import memory_objects
from tests.fakes.postgres_cloud import tenant_rows

NOW = datetime(2024, 6, 1, tzinfo=UTC)


class StoppedClock(Clock):
    """Always the same moment, unless it is moved."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class Move:
    """What an operator does, and what then is there."""

    database: Database
    tenant_id: UUID
    root: Path
    store: ObjectStore = field(default_factory=memory_objects)
    clock: StoppedClock = field(default_factory=StoppedClock)
    mapping: Mapping = field(default_factory=built_in)
    limits: PictureLimits = field(default_factory=PictureLimits)

    @property
    def originals(self) -> Originals:
        return Originals(self.database, self.store, encryption_keys.keyring(), self.limits.tenant_bytes)

    async def run(self, *, dry_run: bool = False) -> Report:
        keyring, report = encryption_keys.keyring(), Report(dry_run=dry_run)
        taking = Import(self.database, self.originals, keyring, self.clock, self.mapping, lambda *_: None)
        await taking.records(self.root, self.tenant_id, report)
        pictures = Pictures(self.database, self.store, self.clock, self.limits)
        await PicturesTaking(self.database, self.originals, pictures, self.clock, self.mapping).take(
            self.root, self.tenant_id, report
        )
        return report

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        return await tenant_rows(self.database, self.tenant_id, sql, *values)

    async def order(self, legacy_id: str) -> dict[str, Any]:
        """The order of this id, and what is odd about it."""
        sql = "SELECT o.*, r.odd FROM orders o JOIN legacy_records r ON r.id = o.id WHERE r.legacy_id = $1"
        (found,) = await self.rows(sql, legacy_id)
        return found

    def later(self, **more: float) -> None:
        self.clock.at += timedelta(**more)


async def tenant(database: Database) -> UUID:
    """A new one."""
    tenant_id = new_id()

    async def work(transaction: Transaction) -> None:
        await onboarding.create_tenant(transaction, system("test"), tenant_id, "Moving")

    await database.unit("test", work, tenant_id=tenant_id)
    return tenant_id


@pytest.fixture
async def move(database: Database, tmp_path: Path) -> Move:
    root = tmp_path / "databases"
    root.mkdir()
    return Move(database, await tenant(database), root)


async def books(owner_url: str) -> dict[str, str]:
    """A checksum of every table of the database."""
    connection = await asyncpg.connect(**credentials(owner_url))
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        async with connection.transaction():
            for (table,) in tables:
                await connection.execute(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY')
            sums = {}
            for (table,) in tables:
                told = f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t'  # noqa: S608
                sums[table] = str(await connection.fetchval(told))
            for (table,) in tables:
                if table != "tortoise_migrations":
                    await connection.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
        return sums
    finally:
        await connection.close()
