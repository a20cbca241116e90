"""The cloud's program: `python -m cloud migrate | serve | seed-demo FILE | create-api-key TENANT NAME |
revoke-gateway TENANT GATEWAY | issue-claim-code TENANT GATEWAY | replay TENANT GATEWAY`."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import structlog
import uvloop

from cloud import demo, logs, schema, server, settings
from cloud.app import create_app
from cloud.auth.service import create_api_key
from cloud.clock import Clock
from cloud.configuration.service import read_signer
from cloud.database import Database, Transaction
from cloud.errors import NotFound, PostgresFailed, SchemaError, SettingsError, Unavailable
from cloud.failpoints import Failpoints
from cloud.onboarding import service as onboarding
from cloud.postgres import EmbeddedPostgres
from cloud.settings import Settings
from cloud.sync.ingest import Ingest

log = structlog.get_logger()

CONFIGURATION_STATUS = 78
"""EX_CONFIG of sysexits.h."""
API_KEY_LIFE = timedelta(days=365)
_OF_A_GATEWAY = {
    "revoke-gateway": "refuse a gateway's key and its open claim codes from now on",
    "issue-claim-code": "print a code by which a gateway may claim its place, also anew, within 24 h",
    "replay": "let a gateway's dead letters take effect, once their cause is mended",
}


def main() -> int:
    """Runs the command. A start that cannot work ends with one line on stderr and status 78."""
    arguments = _parser().parse_args()
    try:
        configured = settings.load(os.environ)
        logs.configure(configured.log_level)
        uvloop.run(_COMMANDS[arguments.command](configured, arguments))
    except (SettingsError, PostgresFailed, SchemaError) as error:
        sys.stderr.write(f"larder cloud: {error}\n")
        return CONFIGURATION_STATUS
    except (NotFound, Unavailable, asyncpg.PostgresError, OSError) as error:
        sys.stderr.write(f"larder cloud: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the database to this version's schema")
    commands.add_parser("serve", help="serve until SIGTERM (an embedded database is migrated first)")
    seed = commands.add_parser("seed-demo", help="make the demo's tenant once (fresh codes when FILE is gone)")
    seed.add_argument("file", type=Path, help="where its claim codes and API key are written, mode 0600")
    key = commands.add_parser("create-api-key", help="print a new API key of a tenant, this once")
    key.add_argument("tenant", type=UUID)
    key.add_argument("name")
    for name, what in _OF_A_GATEWAY.items():
        of_gateway = commands.add_parser(name, help=what)
        of_gateway.add_argument("tenant", type=UUID)
        of_gateway.add_argument("gateway", type=UUID)
    return parser


@asynccontextmanager
async def _database_url(configured: Settings) -> AsyncIterator[str]:
    """The URL that is set, or that of an embedded server for as long as the context lasts, migrated."""
    if configured.database_url is not None:
        yield configured.database_url
        return
    if configured.owner_database_url is not None:
        raise SettingsError("LARDER_CLOUD_DATABASE_URL is missing: only migrate works as the owner of the tables")
    async with _embedded(configured) as url:
        yield url


@asynccontextmanager
async def _embedded(configured: Settings) -> AsyncIterator[str]:
    postgres = EmbeddedPostgres(configured.state_dir)
    try:
        await schema.migrate(await postgres.start())
        yield postgres.app_url
    finally:
        await postgres.stop()


@asynccontextmanager
async def _database(url: str) -> AsyncIterator[Database]:
    """A database that is fit for us. Raises SchemaError."""
    database = Database(url, Failpoints(), pool_size=1)
    await database.open()
    try:
        await _require_fit(database)
        yield database
    finally:
        await database.close()


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


async def _serve(configured: Settings, _: argparse.Namespace) -> None:
    signer = None if configured.settings_key_file is None else read_signer(configured.settings_key_file)
    bound = server.listen(configured.host, configured.port)
    draining = asyncio.Event()
    async with _database_url(configured) as url:
        async with _database(url):
            pass
        app = create_app(
            url,
            clock=Clock(),
            failpoints=Failpoints(configured.failpoint),
            draining=draining,
            pool_size=configured.pool_size,
            release_keys=configured.release_keys,
            signer=signer,
        )
        where = server.url_of(bound)

        @app.before_serving
        async def say_ready() -> None:
            log.info("ready", url=where)

        await server.run(app, bound, draining)
    log.info("stopped")


async def _seed_demo(configured: Settings, arguments: argparse.Namespace) -> None:
    async with _database_url(configured) as url, _database(url) as database:
        seeded = await demo.seed(database, Clock(), renew=not arguments.file.exists())
    if seeded is None:
        log.info("demo_stands_already")
        return
    _write_secret(arguments.file, json.dumps(seeded.as_dict(), indent=2) + "\n")
    log.info("demo_seeded", tenant_id=seeded.tenant_id, file=str(arguments.file))


async def _create_api_key(configured: Settings, arguments: argparse.Namespace) -> None:
    async def work(transaction: Transaction) -> str:
        if await transaction.fetch_one("SELECT 1 FROM tenants") is None:  # the wall leaves one at most
            raise NotFound
        return await create_api_key(arguments.tenant, arguments.name, Clock().now(), API_KEY_LIFE)

    async with _database_url(configured) as url, _database(url) as database:
        sys.stdout.write(await database.unit("create_api_key", work, tenant_id=arguments.tenant) + "\n")


async def _revoke_gateway(configured: Settings, arguments: argparse.Namespace) -> None:
    async def work(transaction: Transaction) -> None:
        await onboarding.revoke_gateway(transaction, arguments.gateway, Clock().now())

    async with _database_url(configured) as url, _database(url) as database:
        await database.unit("revoke_gateway", work, tenant_id=arguments.tenant)
    log.info("gateway_revoked", gateway_id=str(arguments.gateway))


async def _issue_claim_code(configured: Settings, arguments: argparse.Namespace) -> None:
    async def work(_: Transaction) -> str:
        return await onboarding.issue_claim_code(arguments.tenant, arguments.gateway, Clock().now())

    async with _database_url(configured) as url, _database(url) as database:
        sys.stdout.write(await database.unit("issue_claim_code", work, tenant_id=arguments.tenant) + "\n")


async def _replay(configured: Settings, arguments: argparse.Namespace) -> None:
    async with _database_url(configured) as url, _database(url) as database:
        took_effect = await Ingest(database).replay(arguments.tenant, arguments.gateway)
    log.info("dead_letters_replayed", gateway_id=str(arguments.gateway), took_effect=took_effect)


def _write_secret(path: Path, text: str) -> None:
    """Readable by its owner only, from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


_COMMANDS: dict[str, Callable[[Settings, argparse.Namespace], Coroutine[None, None, None]]] = {
    "migrate": _migrate,
    "serve": _serve,
    "seed-demo": _seed_demo,
    "create-api-key": _create_api_key,
    "revoke-gateway": _revoke_gateway,
    "issue-claim-code": _issue_claim_code,
    "replay": _replay,
}

if __name__ == "__main__":
    sys.exit(main())
