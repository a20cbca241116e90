"""What is done about one gateway of a tenant."""

import argparse
import sys
from uuid import UUID

import structlog

from cloud.callers import system
from cloud.clock import Clock
from cloud.commands import Command
from cloud.commands.databases import our_database
from cloud.database import Transaction
from cloud.onboarding import service as onboarding
from cloud.settings import Settings
from cloud.sync.ingest import Ingest

log = structlog.get_logger()


async def _revoke(configured: Settings, arguments: argparse.Namespace) -> None:
    async def work(transaction: Transaction) -> None:
        actor, now = system("revoke-gateway"), Clock().now()
        await onboarding.revoke_gateway(transaction, actor, arguments.tenant, arguments.gateway, now)

    async with our_database(configured) as database:
        await database.unit("revoke_gateway", work, tenant_id=arguments.tenant)
    log.info("gateway_revoked", gateway_id=str(arguments.gateway))


async def _issue_claim_code(configured: Settings, arguments: argparse.Namespace) -> None:
    async def work(transaction: Transaction) -> str:
        actor, now = system("issue-claim-code"), Clock().now()
        return await onboarding.issue_claim_code(transaction, actor, arguments.tenant, arguments.gateway, now)

    async with our_database(configured) as database:
        sys.stdout.write(await database.unit("issue_claim_code", work, tenant_id=arguments.tenant) + "\n")


async def _replay(configured: Settings, arguments: argparse.Namespace) -> None:
    async with our_database(configured) as database:
        took_effect = await Ingest(database).replay(system("replay"), arguments.tenant, arguments.gateway)
    log.info("dead_letters_replayed", gateway_id=str(arguments.gateway), took_effect=took_effect)


def _of_gateway(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tenant", type=UUID)
    parser.add_argument("gateway", type=UUID)


_CLAIM = "print a code by which a gateway may claim its place, also anew, within 24 h"
_REPLAY = "let a gateway's dead letters take effect, once their cause is mended"

COMMANDS = (
    Command("revoke-gateway", "refuse a gateway's key and its open claim codes from now on", _revoke, _of_gateway),
    Command("issue-claim-code", _CLAIM, _issue_claim_code, _of_gateway),
    Command("replay", _REPLAY, _replay, _of_gateway),
)
