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
from cloud.lowdb.export import Export, compare, manifest
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


async def _export(configured: Settings, arguments: argparse.Namespace) -> None:
    mapping, root = _mapping(arguments.map), arguments.folder
    if root.exists() and any(root.iterdir()):
        raise Unproven(f"{root} is not empty")
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    keyring, store = keys_file.open_keyring(configured), open_store(configured)
    async with our_database(configured) as database:
        originals = Originals(database, store, keyring, configured.tenant_bytes)
        done = await Export(database, originals, keyring).write(root, arguments.tenant)
    for path, count in sorted(done.records.items()):
        erased = f", {done.erased[path]} of them without their person" if done.erased[path] else ""
        sys.stdout.write(f"{path}: {count} records{erased}\n")
    sys.stdout.write(f"{done.pictures} pictures\n")
    if arguments.manifest is not None:
        arguments.manifest.write_text("".join(f"{digest}  {place}\n" for digest, place in manifest(root, mapping)))
    if arguments.compare is not None:
        _compare(_folder(arguments.compare), root, mapping)


def _compare(first: Path, second: Path, mapping: Mapping) -> None:
    """Raises Unproven unless every record of the first folder is in the second, as it was written."""
    compared = compare(first, second, mapping)
    for one in compared:
        sys.stdout.write(f"{one.path}: {one.equal} equal, {one.missing} missing, {one.more} more\n")
    if any(one.missing or one.more for one in compared):
        raise Unproven("not every record is equal: see above")


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


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a new folder, or an empty one")
    parser.add_argument("--tenant", type=UUID, required=True, help="whose it is")
    parser.add_argument("--map", type=Path, help="the mapping it was taken over with")
    parser.add_argument("--compare", type=Path, help="a folder of LowDB files to compare it with, record by record")
    parser.add_argument("--manifest", type=Path, help="where the SHA-256 of each record is written")


COMMANDS = (
    Command("import-lowdb", "take over the files of LowDB; as often as you like", _import, _import_arguments),
    Command("export-lowdb", "give back what was taken over, as LowDB files", _export, _export_arguments),
)
