"""The first people, who cannot be invited by anybody."""

import argparse
import sys
from uuid import UUID

import asyncpg

from cloud.auth.first_people import FirstPeople
from cloud.callers import system
from cloud.clock import Clock, new_id
from cloud.commands import Command
from cloud.commands.databases import both_urls, fit_database, our_database
from cloud.database import Transaction, credentials
from cloud.onboarding import service as onboarding
from cloud.settings import Settings

_PROMOTE = "UPDATE users SET is_platform_admin = true WHERE id = $1"


async def _create_owner(configured: Settings, arguments: argparse.Namespace) -> None:
    tenant_id: UUID = arguments.tenant or new_id()

    async def found(transaction: Transaction) -> None:
        await onboarding.create_tenant(transaction, system("create-owner"), tenant_id, arguments.business)

    async with our_database(configured) as database:
        if arguments.tenant is None:
            await database.unit("create_tenant", found, tenant_id=tenant_id)
        people = FirstPeople(database, Clock(), configured.public_url)
        link = await people.owner(tenant_id, arguments.email, arguments.name)
    sys.stdout.write(f"business  {tenant_id}\nlink      {link}\n")


async def _create_platform_admin(configured: Settings, arguments: argparse.Namespace) -> None:
    async with both_urls(configured) as (owner, app):
        async with fit_database(app) as database:
            people = FirstPeople(database, Clock(), configured.public_url)
            user_id, link = await people.user(arguments.email, arguments.name)
        connection = await asyncpg.connect(**credentials(owner), timeout=10)
        try:
            await connection.execute("SELECT set_config('app.user', $1, false)", str(user_id))
            await connection.execute(_PROMOTE, user_id)
        finally:
            await connection.close()
    sys.stdout.write(f"link      {link}\n")


def _owner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("business", help="the name of a new business, or of the one that --tenant names")
    parser.add_argument("email")
    parser.add_argument("name", help="of the person")
    parser.add_argument("--tenant", type=UUID, help="a business that is there already")


def _admin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("email")
    parser.add_argument("name", help="of the person")


_OWNER = "make a business and its owner; prints the link by which they choose a password"
_ADMIN = "let a person look after all businesses (asks for the owner of the tables); prints their link"

COMMANDS = (
    Command("create-owner", _OWNER, _create_owner, _owner),
    Command("create-platform-admin", _ADMIN, _create_platform_admin, _admin),
)
