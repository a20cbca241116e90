"""The audit log's chains, and the keys of encrypted columns."""

import argparse
import sys
from uuid import UUID

from cloud.audit.service import verify
from cloud.commands import Command
from cloud.commands.databases import our_database
from cloud.encryption import keys_file, progress
from cloud.encryption.rotation import ENCRYPTION, INDEXING, Rotation
from cloud.errors import Unproven
from cloud.settings import Settings


async def _audit(configured: Settings, arguments: argparse.Namespace) -> None:
    broken = 0
    async with our_database(configured) as database:
        async for verified in verify(database, arguments.tenant):
            sys.stdout.write(verified.line() + "\n")
            broken += verified.flaw is not None
    if broken:
        raise Unproven(f"{broken} chains of the audit log are broken")


async def _keys(configured: Settings, arguments: argparse.Namespace) -> None:
    if arguments.of_keys == "new":
        sys.stdout.write(keys_file.new_secret() + "\n")
        return
    keyring = keys_file.open_keyring(configured)
    async with our_database(configured) as database:
        for family, sort in ((ENCRYPTION, "key"), (INDEXING, "index key")):
            rotation = Rotation(database, keyring, family)
            if arguments.of_keys == "rotate":
                await _rotate(rotation, arguments.batch)
            uses = await rotation.counts()
            if uses or family is ENCRYPTION:
                sys.stdout.writelines(line + "\n" for line in progress.lines(uses, rotation.newest, sort))


async def _rotate(rotation: Rotation, batch: int) -> None:
    await rotation.begin()
    shown = progress.Progress(sys.stdout, progress.to_do(await rotation.counts(), rotation.newest))
    rotated = await rotation.rotate(batch, shown)
    shown.end()
    if rotated.unreadable:
        raise Unproven(f"{rotated.unreadable} values cannot be read: the log says where they stand")


def _of_audit(parser: argparse.ArgumentParser) -> None:
    verifying = parser.add_subparsers(dest="of_audit", required=True).add_parser(
        "verify", help="check that no entry was changed, removed or inserted"
    )
    verifying.add_argument("tenant", type=UUID, nargs="?", help="only this one's chain")


def _of_keys(parser: argparse.ArgumentParser) -> None:
    keys = parser.add_subparsers(dest="of_keys", required=True)
    keys.add_parser("new", help="print a new SECRET for LARDER_CLOUD_ENCRYPTION_KEYS or …_BLIND_INDEX_KEY")
    keys.add_parser("status", help="print how many values each key has")
    rotating = keys.add_parser("rotate", help="encrypt everything with the newest key, while the service runs")
    rotating.add_argument("--batch", type=_batch, default=500, help="so many values a transaction (1 to 10000)")


def _batch(text: str) -> int:
    size = int(text)
    if not 1 <= size <= 10_000:
        raise argparse.ArgumentTypeError("must be a number from 1 to 10000")
    return size


COMMANDS = (
    Command("audit", "the log of who did what", _audit, _of_audit),
    Command("keys", "the keys of encrypted columns", _keys, _of_keys),
)
