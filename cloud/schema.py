"""Brings a database to this version's schema, and tells whether it is there."""

import pkgutil
from pathlib import Path

import asyncpg
from tortoise.context import TortoiseContext
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from cloud import migrations
from cloud.database import Transaction, credentials, tortoise_config

_LOCK = 0x6C617264  # "lard"
_WAY_ROUND = """
    SELECT EXISTS (SELECT 1 FROM pg_roles
                   WHERE (rolsuper OR rolbypassrls) AND pg_has_role(session_user, oid, 'MEMBER'))
        OR EXISTS (SELECT 1 FROM pg_class
                   WHERE relnamespace = 'public'::regnamespace AND pg_has_role(session_user, relowner, 'MEMBER'))
        AS found
"""


async def migrate(url: str, up_to: str | None = None) -> None:
    """Apply what is missing (up to a migration), as the owner that `url` names. Of two at once, one waits."""
    lock = await asyncpg.connect(**credentials(url))
    try:
        await lock.execute("SELECT pg_advisory_lock($1)", _LOCK)
        config = tortoise_config(credentials(url) | {"minsize": 1, "maxsize": 2})
        async with TortoiseContext() as context:
            await context.init(config=config)
            targets = None if up_to is None else [MigrationTarget("cloud", up_to)]
            await MigrationExecutor(context.db(), config["apps"]).migrate(targets, direction="forward")
    finally:
        await lock.close()


def known_migrations() -> frozenset[str]:
    """The names of the migrations this version brings."""
    found = pkgutil.iter_modules([str(Path(migrations.__file__).parent)])
    return frozenset(module.name for module in found)


async def is_current(transaction: Transaction) -> bool:
    """True when the database has every migration of this version (a newer one's are no harm)."""
    rows = await transaction.fetch("SELECT name FROM tortoise_migrations WHERE app = 'cloud'")
    return known_migrations() <= {row["name"] for row in rows}


async def has_way_round(transaction: Transaction) -> bool:
    """True when the user who logged in is, or may become, one whom no wall stops: superuser, BYPASSRLS, owner."""
    row = await transaction.fetch_one(_WAY_ROUND)
    return row is None or bool(row["found"])
