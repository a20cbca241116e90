"""Who was erased: a list that is kept apart from backups, and erases them once more in one that was restored."""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from cloud.clock import Clock
from cloud.commands import Command
from cloud.commands.databases import our_database
from cloud.erasure.service import Erased, Eraser
from cloud.errors import Unproven
from cloud.settings import Settings


async def _erasures(configured: Settings, arguments: argparse.Namespace) -> None:
    lines = _read(arguments.file) if arguments.of_erasures == "apply" else []
    async with our_database(configured) as database:
        eraser = Eraser(database, Clock())
        if arguments.of_erasures == "list":
            async for erased in eraser.erased():
                sys.stdout.write(erased.model_dump_json() + "\n")
        else:
            sys.stdout.write(f"{await eraser.apply(lines)} of {len(lines)} were there again, and are erased\n")


def _read(path: Path) -> list[Erased]:
    """Raises Unproven with the first line that is none."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            found.append(Erased.model_validate_json(line))
        except ValidationError:
            raise Unproven(f"{path}, line {number}, is none of a list of erasures: nothing was erased") from None
    return found


def _arguments(parser: argparse.ArgumentParser) -> None:
    of = parser.add_subparsers(dest="of_erasures", required=True)
    of.add_parser("list", help="print who was erased, a JSON line each: ids, when and why")
    applying = of.add_parser("apply", help="erase whom such a list names, if they are there again")
    applying.add_argument("file", type=Path)


COMMANDS = (Command("erasures", "customers who were erased, for backups that are restored", _erasures, _arguments),)
