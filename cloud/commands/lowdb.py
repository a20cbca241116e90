"""Moving from LowDB, and back."""

import argparse
import json
import sys
import time
from pathlib import Path
from uuid import UUID

from cloud.clock import Clock
from cloud.commands import Command
from cloud.commands.databases import our_database
from cloud.encryption import keys_file
from cloud.encryption.rotation import ENCRYPTION, INDEXING, Rotation
from cloud.errors import Unproven
from cloud.lowdb.mapping import Mapping, MappingRefused, built_in, read_mapping
from cloud.lowdb.originals import Originals
from cloud.lowdb.pictures import PicturesTaking
from cloud.lowdb.report import Report
from cloud.lowdb.service import Import
from cloud.object_store import open_store
from cloud.pictures.service import PictureLimits, Pictures
from cloud.settings import Settings

FILE_SECONDS = 3600.0
"""For one file, which is taken over in one unit of work."""
_TOLD_SECONDS = 1.0


async def _import(configured: Settings, arguments: argparse.Namespace) -> None:
    mapping, root = _mapping(arguments.map), _folder(arguments.path)
    keyring, clock, store = keys_file.open_keyring(configured), Clock(), open_store(configured)
    limits = PictureLimits(configured.picture_bytes, configured.picture_pixels, configured.tenant_bytes)
    report = Report(dry_run=arguments.dry_run)
    async with our_database(configured, unit_seconds=FILE_SECONDS) as database:
        for family in (ENCRYPTION, INDEXING):
            await Rotation(database, keyring, family).begin()
        originals = Originals(database, store, keyring, limits.tenant_bytes)
        taking = Import(database, originals, keyring, clock, mapping, _Progress())
        await taking.records(root, arguments.tenant, report)
        pictures = Pictures(database, store, clock, limits)
        await PicturesTaking(database, originals, pictures, clock, mapping).take(root, arguments.tenant, report)
    _show(report, arguments.report)
    if not report.is_whole:
        raise Unproven("not everything could be taken over as it is: see above")


def _show(report: Report, file: Path | None) -> None:
    if file is not None:
        file.write_text(json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n")
    sys.stdout.writelines(line + "\n" for line in report.lines())


def _mapping(path: Path | None) -> Mapping:
    if path is None:
        return built_in()
    try:
        return read_mapping(path.read_text(), str(path))
    except (MappingRefused, UnicodeDecodeError) as error:
        raise Unproven(str(error)) from None


def _folder(path: Path) -> Path:
    """Raises Unproven."""
    if not path.is_dir():
        raise Unproven(f"{path} is no folder")
    return path.resolve()


class _Progress:
    """One line a second at most, on stderr."""

    def __init__(self) -> None:
        self._told_at = 0.0

    def __call__(self, path: str, read: int, size: int) -> None:
        if time.monotonic() - self._told_at >= _TOLD_SECONDS:
            self._told_at = time.monotonic()
            sys.stderr.write(f"{path}: {100 * read // max(1, size)} % of {size // 1024} KiB\n")


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="the folder with one folder a machine")
    parser.add_argument("--tenant", type=UUID, required=True, help="whose it becomes")
    parser.add_argument("--map", type=Path, help="a mapping, for other files and for what machines are (MOVING.md)")
    parser.add_argument("--dry-run", action="store_true", help="do everything, and then undo it")
    parser.add_argument("--report", type=Path, help="where the report is written, as JSON")


COMMANDS = (Command("import-lowdb", "take over the files of LowDB; as often as you like", _import, _import_arguments),)
