"""Giving back what was taken over, as LowDB files, and comparing them with others record by record."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TextIO
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import system
from cloud.database import Database, Row, Transaction
from cloud.encryption.columns import LEGACY_ORIGINAL
from cloud.encryption.keyring import Keyring
from cloud.lowdb import models
from cloud.lowdb.folder import Folder, pieces_of
from cloud.lowdb.mapping import Mapping
from cloud.lowdb.originals import Archived, Originals
from cloud.lowdb.scanner import TOP, Found, scan

AT_ONCE = 500
MARK = "larderErased"
"""The key in a record whose person was erased: why they were. What else is in it stands in our own tables."""
_FIRST = (datetime(1970, 1, 1, tzinfo=UTC), 0, UUID(int=0))
_SALE = """
    SELECT o.id, o.total_minor, o.state, o.currency, o.placed_at,
           (SELECT json_agg(json_build_object(
                'name', l.product_name, 'price_minor', l.price_minor, 'quantity', l.quantity)
                ORDER BY l.line)::text FROM order_lines l WHERE l.order_id = o.id) AS lines
    FROM orders o WHERE o.id = $1
"""


@dataclass
class Exported:
    """What was given back: records and those without a person, by file; pictures; archived pictures that are lost."""

    records: Counter[str] = field(default_factory=Counter)
    erased: Counter[str] = field(default_factory=Counter)
    pictures: int = 0


@dataclass
class Compared:
    """Of one file: so many records are equal; those of the first that the second lacks, and the other way round."""

    path: str
    equal: int
    missing: int
    more: int


class Export:
    """Writes what a tenant has from LowDB into an empty folder."""

    def __init__(self, database: Database, originals: Originals, keyring: Keyring) -> None:
        self._database = database
        self._originals = originals
        self._keyring = keyring

    async def write(self, root: Path, tenant_id: UUID) -> Exported:
        """All of it. Raises Undecipherable, NoObject, Unavailable, OSError."""
        done = Exported()
        told = await self._database.unit("lowdb.paths", models.paths, tenant_id=tenant_id)
        files: dict[str, dict[str, list[str]]] = {}
        for path, collection, _ in told:
            files.setdefault(_without_leftover(path), {}).setdefault(collection, []).append(path)
        for path, collections in files.items():
            with _made(root, path).open("x") as file:
                await self._file(file, path, collections, tenant_id, done)
        for row in await self._database.unit("lowdb.pictures", models.pictures, tenant_id=tenant_id):
            with _made(root, row["path"]).open("xb") as picture:
                async for piece in self._originals.read(
                    tenant_id, row["id"], Archived(row["object"], row["archive_key"])
                ):
                    picture.write(piece)
            done.pictures += 1
        await self._record(tenant_id, done)
        return done

    async def _file(
        self, file: TextIO, path: str, collections: dict[str, list[str]], tenant_id: UUID, done: Exported
    ) -> None:
        is_list = TOP in collections
        file.write("" if is_list else "{")
        for number, (collection, paths) in enumerate(collections.items()):
            file.write("[" if is_list else f"{',' if number else ''}\n  {json.dumps(collection)}: [")
            begin = "\n    "
            async for text, is_erased in self._texts(paths, collection, tenant_id):
                file.write(begin + text)
                begin = ",\n    "
                done.records[path] += 1
                done.erased[path] += is_erased
            file.write("\n  ]")
        file.write("\n" if is_list else "\n}\n")

    async def _texts(self, paths: list[str], collection: str, tenant_id: UUID) -> AsyncIterator[tuple[str, bool]]:
        after = _FIRST
        while True:

            async def work(
                transaction: Transaction, after: tuple[datetime, int, UUID] = after
            ) -> list[tuple[Row, Row | None]]:
                rows = await models.exported(transaction, paths, collection, after, AT_ONCE)
                lost = [row for row in rows if row["original"] is None]
                sales = {row["id"]: await transaction.fetch_one(_SALE, row["id"]) for row in lost}
                return [(row, sales.get(row["id"])) for row in rows]

            rows = await self._database.unit("lowdb.export", work, tenant_id=tenant_id)
            for row, sale in rows:
                if row["original"] is None:
                    yield _what_is_left(row, sale), True
                else:
                    yield LEGACY_ORIGINAL.open(self._keyring, (tenant_id, row["id"]), row["original"]), False
            if len(rows) < AT_ONCE:
                return
            last = rows[-1][0]
            after = (last["imported_at"], last["position"], last["id"])

    async def _record(self, tenant_id: UUID, done: Exported) -> None:
        async def work(transaction: Transaction) -> None:
            subject = Subject(SubjectKind.TENANT, tenant_id)
            about = {"records": done.records.total(), "pictures": done.pictures}
            actor = system("export-lowdb")
            await audit.record(transaction, actor, tenant_id, AuditAction.LEGACY_EXPORTED, subject, after=about)

        await self._database.unit("lowdb.exported", work, tenant_id=tenant_id)


def _what_is_left(row: Row, sale: Row | None) -> str:
    """Of a record whose person was erased: the sale as we keep it, money in minor units, and the mark."""
    left: dict[str, object] = {"orderId": row["legacy_id"], MARK: row["erased_because"]}
    if sale is not None:
        left |= {"items": json.loads(sale["lines"] or "[]"), "total_minor": sale["total_minor"]}
        left |= {"currency": sale["currency"], "state": sale["state"], "createdAt": sale["placed_at"].isoformat()}
    return json.dumps(left)


def _without_leftover(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name[1:-4]}" if name.startswith(".") and name.endswith(".tmp") else path


def _made(root: Path, path: str) -> Path:
    """Where a file of the export lies; its folder is made."""
    where = root / path
    where.parent.mkdir(parents=True, exist_ok=True)
    return where


def manifest(root: Path, mapping: Mapping) -> Iterator[tuple[str, str]]:
    """The SHA-256 of each record's text, and where it stands."""
    folder = Folder(root, mapping)
    for source in folder.listed().sources:
        for number, text in enumerate(_texts(folder, source.path, (one.collection for one in source.collections)), 1):
            yield sha256(text.encode()).hexdigest(), f"{source.path}#{number}"


def compare(first: Path, second: Path, mapping: Mapping) -> list[Compared]:
    """Each record of the files of one folder with those of the other. A record is equal if its text is: then so are its
    keys, their order, and the text of its numbers."""
    told = []
    ones, others = Folder(first, mapping), Folder(second, mapping)
    paths = {one.path: one for one in (*ones.listed().sources, *others.listed().sources) if not one.is_leftover}
    for path, source in sorted(paths.items()):
        names = [one.collection for one in source.collections]
        had = Counter(_digests(ones, first, path, names))
        has = Counter(_digests(others, second, path, names))
        told.append(Compared(path, (had & has).total(), (had - has).total(), (has - had).total()))
    return told


def _digests(folder: Folder, root: Path, path: str, collections: Iterable[str]) -> Iterator[bytes]:
    if (root / path).exists():
        yield from (sha256(text.encode()).digest() for text in _texts(folder, path, collections))


def _texts(folder: Folder, path: str, collections: Iterable[str]) -> Iterator[str]:
    with folder.opened(path) as file:
        for found in scan(pieces_of(file), dict.fromkeys(collections)):
            if isinstance(found, Found):
                yield found.text
