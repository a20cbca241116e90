"""Writes the typed Python client of this version's API."""

import argparse
import asyncio
import secrets
import sys
from pathlib import Path

from cloud.app import create_app
from cloud.clock import Clock
from cloud.commands import Command
from cloud.encryption.keyring import KEY_BYTES, Keyring, NamedKey
from cloud.failpoints import Failpoints
from cloud.mail import FolderCarrier
from cloud.object_store import open_store
from cloud.reference.client.package import write
from cloud.reference.document import document_of
from cloud.settings import Settings

_NOWHERE = "postgresql://larder_app@127.0.0.1:9/larder"


async def _client(configured: Settings, arguments: argparse.Namespace) -> None:
    """Needs no database: what the routes declare is known once the application is put together."""
    app = create_app(
        _NOWHERE,
        clock=Clock(),
        failpoints=Failpoints(),
        draining=asyncio.Event(),
        keyring=Keyring([_any_key()], [_any_key()]),
        carrier=FolderCarrier(configured.state_dir / "mail"),
        objects=open_store(configured),
    )
    count = await asyncio.to_thread(write, document_of(app), arguments.folder)
    sys.stdout.write(f"{count} files in {arguments.folder}; try: pip install {arguments.folder}\n")


def _any_key() -> NamedKey:
    return NamedKey("none", secrets.token_bytes(KEY_BYTES))


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="where the package shall lie; one written before is replaced")


COMMANDS = (Command("client", "write the typed Python client of the API, to be installed by pip", _client, _arguments),)
