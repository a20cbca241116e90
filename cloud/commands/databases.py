"""Brings the database to this version's schema, and opens it for other commands."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog

from cloud import schema
from cloud.commands import Command
from cloud.database import UNIT_SECONDS, Database
from cloud.errors import SchemaError, SettingsError
from cloud.failpoints import Failpoints
from cloud.postgres import EmbeddedPostgres
from cloud.settings import Settings

log = structlog.get_logger()


@asynccontextmanager
async def database_url(configured: Settings) -> AsyncIterator[str]:
    """The URL that is set, or that of an embedded server for as long as the context lasts, migrated."""
    if configured.database_url is not None:
        yield configured.database_url
        return
    if configured.owner_database_url is not None:
        raise SettingsError("LARDER_CLOUD_DATABASE_URL is missing: only migrate works as the owner of the tables")
    async with _embedded(configured) as url:
        yield url


@asynccontextmanager
async def fit_database(url: str, failpoint: str = "", *, unit_seconds: float = UNIT_SECONDS) -> AsyncIterator[Database]:
    """A database that is fit for us. Raises SchemaError."""
    database = Database(url, Failpoints(failpoint), pool_size=1, unit_seconds=unit_seconds)
    await database.open()
    try:
        await _require_fit(database)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def our_database(configured: Settings, *, unit_seconds: float = UNIT_SECONDS) -> AsyncIterator[Database]:
    """Both: the database that is set or embedded, fit for us. Raises SettingsError, SchemaError."""
    async with (
        database_url(configured) as url,
        fit_database(url, configured.failpoint, unit_seconds=unit_seconds) as database,
    ):
        yield database


@asynccontextmanager
async def both_urls(configured: Settings) -> AsyncIterator[tuple[str, str]]:
    """The database as the owner of its tables and as the application, set or embedded. Raises SettingsError."""
    if configured.owner_database_url is not None and configured.database_url is not None:
        yield configured.owner_database_url, configured.database_url
    elif configured.owner_database_url is None and configured.database_url is None:
        postgres = EmbeddedPostgres(configured.state_dir)
        try:
            owner = await postgres.start()
            await schema.migrate(owner)
            yield owner, postgres.app_url
        finally:
            await postgres.stop()
    else:
        raise SettingsError("set both, LARDER_CLOUD_OWNER_DATABASE_URL and LARDER_CLOUD_DATABASE_URL, or neither")


@asynccontextmanager
async def _embedded(configured: Settings) -> AsyncIterator[str]:
    postgres = EmbeddedPostgres(configured.state_dir)
    try:
        await schema.migrate(await postgres.start())
        yield postgres.app_url
    finally:
        await postgres.stop()


async def _require_fit(database: Database) -> None:
    """Raises SchemaError unless the database is of this version and its walls hold the user we log in as."""
    try:
        current = await database.unit("start", schema.is_current)
        unwalled = current and await database.unit("start", schema.has_way_round)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidParameterValueError):  # no table; no role
        current = unwalled = False
    if not current:
        raise SchemaError("the database is not of this version: run python -m cloud migrate")
    if unwalled:
        raise SchemaError(
            "the user of LARDER_CLOUD_DATABASE_URL can pass the walls between tenants: it must be no"
            " superuser, not BYPASSRLS, own no table, and be a member of larder_app alone"
        )


async def _migrate(configured: Settings, _: argparse.Namespace) -> None:
    if configured.owner_database_url is not None:
        await schema.migrate(configured.owner_database_url)
    elif configured.database_url is not None:
        raise SettingsError("LARDER_CLOUD_OWNER_DATABASE_URL is missing: migrate works as the owner of the tables")
    else:
        async with _embedded(configured):
            pass
    log.info("migrated")


COMMANDS = (Command("migrate", "bring the database to this version's schema", _migrate),)
