"""The demo's tenant, and API keys."""

import argparse
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog

from cloud import demo
from cloud.auth.keys import create_key
from cloud.callers import system
from cloud.clock import Clock
from cloud.commands import Command
from cloud.commands.databases import our_database
from cloud.database import Transaction
from cloud.errors import NotFound
from cloud.permissions import Permission
from cloud.settings import Settings

log = structlog.get_logger()

API_KEY_LIFE = timedelta(days=365)
KEY_SCOPES = frozenset(Permission) - {
    Permission.USERS_WRITE,
    Permission.KEYS_WRITE,
    Permission.CUSTOMERS_READ,
    Permission.CUSTOMERS_WRITE,
    Permission.CUSTOMERS_ERASE,
}
"""What a key may do if nothing is said: neither make others nor see people."""


async def _seed_demo(configured: Settings, arguments: argparse.Namespace) -> None:
    async with our_database(configured) as database:
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
        now, scopes = Clock().now(), sorted(arguments.scope or KEY_SCOPES)
        made = await create_key(
            transaction, arguments.tenant, system("create-api-key"), arguments.name, scopes, now, API_KEY_LIFE
        )
        return made.secret

    async with our_database(configured) as database:
        sys.stdout.write(await database.unit("create_api_key", work, tenant_id=arguments.tenant) + "\n")


def _write_secret(path: Path, text: str) -> None:
    """Readable by its owner only, from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _seed_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="where its claim codes and API key are written, mode 0600")


def _key_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tenant", type=UUID)
    parser.add_argument("name")
    parser.add_argument(
        "--scope", action="append", choices=sorted(Permission), help="(all but users', keys' and customers')"
    )


COMMANDS = (
    Command("seed-demo", "make the demo's tenant once (fresh codes when FILE is gone)", _seed_demo, _seed_arguments),
    Command("create-api-key", "print a new API key of a tenant, this once", _create_api_key, _key_arguments),
)
