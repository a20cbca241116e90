"""Going over to a new key while the service runs, and which keys are still needed.

Walls stand for this, too: it works for one tenant (or user) after the other, whose ids are all it sees of them at once.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

import structlog

from cloud.database import Database, Row, Transaction, Work
from cloud.encryption.columns import ENCRYPTED, INDEXED, Owner
from cloud.encryption.keyring import Keyring
from cloud.errors import SettingsError, Undecipherable

log = structlog.get_logger()

T = TypeVar("T")

NOT_ENCRYPTED = ""
"""In place of a key's name."""
START_BATCH = 500


class KeyedColumn(Protocol):
    """A column each of whose values was made with a key that it names (columns.py)."""

    @property
    def table(self) -> str: ...

    @property
    def column(self) -> str: ...

    @property
    def key(self) -> tuple[str, ...]: ...

    @property
    def owner(self) -> Owner: ...

    @property
    def source(self) -> str: ...

    @property
    def key_name(self) -> str: ...

    def again(self, keyring: Keyring, row: tuple[object, ...], kept: str) -> str: ...


@dataclass(frozen=True)
class Family:
    """Keys of one sort: where they are set, in which table it is kept which of them values need, and which values."""

    setting: str
    table: str
    columns: Sequence[KeyedColumn]
    newest: Callable[[Keyring], str]
    names: Callable[[Keyring], frozenset[str]]


ENCRYPTION = Family(
    "LARDER_CLOUD_ENCRYPTION_KEYS",
    "encryption_keys",
    ENCRYPTED,
    lambda keyring: keyring.newest,
    lambda keyring: keyring.names,
)
INDEXING = Family(
    "LARDER_CLOUD_BLIND_INDEX_KEY",
    "index_keys",
    INDEXED,
    lambda keyring: keyring.newest_index,
    lambda keyring: keyring.index_names,
)


@dataclass(frozen=True)
class KeyUse:
    """How many values of a column were made with a key."""

    column: KeyedColumn
    key: str
    values: int


@dataclass
class Rotated:
    """How far it has got. What cannot be read stays as it is; the log says where it stands."""

    changed: int = 0
    overtaken: int = 0
    """Others wrote there at the same moment: with the newest key, unless they have yet to hear of it."""
    unreadable: int = 0

    @property
    def seen(self) -> int:
        """All it has come by."""
        return self.changed + self.overtaken + self.unreadable


@dataclass(frozen=True)
class _Part:
    """The rows of one tenant or user in one table."""

    column: KeyedColumn
    owner_id: UUID


class Rotation:
    """All values that were made with keys of a family, whosever they are, and the keys they need."""

    def __init__(self, database: Database, keyring: Keyring, family: Family = ENCRYPTION) -> None:
        self._database = database
        self._keyring = keyring
        self._family = family
        self._held = family.names(keyring)
        self.newest = family.newest(keyring)

    async def begin(self) -> None:
        """At start, before anything is encrypted: every key that is needed is there, and nothing is left in plain.

        Looks through the values only after a key was removed, or a column is newly encrypted. Raises SettingsError.
        """
        names = await self._database.unit("keys.names", self._names)
        missing = names - self._held
        if NOT_ENCRYPTED in missing:
            await self._rotate_all((names | self._held) - {NOT_ENCRYPTED}, START_BATCH, _say_nothing)
        if missing:
            self._refuse_without(missing - {NOT_ENCRYPTED}, await self.counts())
        await self._database.unit("keys.begin", partial(self._keep_names, missing))

    def _refuse_without(self, missing: frozenset[str], uses: Sequence[KeyUse]) -> None:
        for name in sorted(missing):
            values = sum(use.values for use in uses if use.key == name)
            if values:
                raise SettingsError(
                    f"{self._family.setting} lacks {name}, which {values} values still need:"
                    " put it back, and let python -m cloud keys rotate come to 100 % first"
                )

    async def counts(self) -> list[KeyUse]:
        """How many values each key has, by table, column and key."""
        total: Counter[tuple[KeyedColumn, str]] = Counter()
        async for part in self._parts():
            for row in await self._unit("keys.count", part, partial(_count, part.column)):
                total[part.column, row["key"]] += row["values"]
        uses = [KeyUse(column, key, values) for (column, key), values in total.items()]
        return sorted(uses, key=lambda use: (use.column.table, use.column.column, use.key))

    async def rotate(self, batch: int, told: Callable[[Rotated], None]) -> Rotated:
        """Make with the newest key whatever is not; calls `told` after each batch, which is one transaction.

        Cut off and begun anew it does what is left. What others write meanwhile stands.
        """
        return await self._rotate_all(frozenset({self.newest}), batch, told)

    async def _rotate_all(self, kept: frozenset[str], batch: int, told: Callable[[Rotated], None]) -> Rotated:
        rotated = Rotated()
        async for part in self._parts():
            after: tuple[object, ...] | None = None
            while True:
                work = partial(self._rotate, part.column, kept, after, batch)
                rows, done = await self._unit("keys.rotate", part, work)
                rotated.changed += done.changed
                rotated.overtaken += done.overtaken
                rotated.unreadable += done.unreadable
                if not rows:
                    break
                told(rotated)
                after = _key(part.column, rows[-1])
        return rotated

    async def _rotate(
        self,
        column: KeyedColumn,
        kept: frozenset[str],
        after: tuple[object, ...] | None,
        batch: int,
        transaction: Transaction,
    ) -> tuple[Sequence[Row], Rotated]:
        rows = await transaction.fetch(_batch_sql(column, after), list(kept), batch, *(after or ()))
        done = Rotated()
        for row in rows:
            made = self._again(column, _key(column, row), row["source"])
            if made is None:
                done.unreadable += 1
            elif await transaction.execute(_replace_sql(column), row["kept"], made, *_key(column, row)):
                done.changed += 1
            else:
                done.overtaken += 1
        return rows, done

    def _again(self, column: KeyedColumn, row: tuple[object, ...], source: str) -> str | None:
        """The same value with the newest key."""
        try:
            return column.again(self._keyring, row, source)
        except Undecipherable as error:
            log.error("value_unreadable", reason=str(error))
            return None

    async def _parts(self) -> AsyncIterator[_Part]:
        for column in self._family.columns:
            for owner_id in await self._database.unit("keys.owners", partial(_owners, column.owner)):
                yield _Part(column, owner_id)

    async def _unit(self, name: str, part: _Part, work: Work[T]) -> T:
        if part.column.owner is Owner.USER:
            return await self._database.unit(name, work, user_id=part.owner_id)
        return await self._database.unit(name, work, tenant_id=part.owner_id)

    async def _names(self, transaction: Transaction) -> frozenset[str]:
        rows = await transaction.fetch(f"SELECT name FROM {self._family.table}")  # noqa: S608  our names
        return frozenset(row["name"] for row in rows)

    async def _keep_names(self, gone: frozenset[str], transaction: Transaction) -> None:
        table = self._family.table
        await transaction.execute(f"DELETE FROM {table} WHERE name = ANY($1)", list(gone))  # noqa: S608  as above
        remember = f"INSERT INTO {table} (name) VALUES ($1) ON CONFLICT DO NOTHING"  # noqa: S608  as above
        await transaction.execute(remember, self.newest)


def _say_nothing(_: Rotated) -> None:
    pass


def _key(column: KeyedColumn, row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in column.key)


async def _owners(owner: Owner, transaction: Transaction) -> list[UUID]:
    return [row["id"] for row in await transaction.fetch(f"SELECT id FROM {owner.value}() AS o (id) ORDER BY id")]  # noqa: S608


async def _count(column: KeyedColumn, transaction: Transaction) -> Sequence[Row]:
    name = column.column
    return await transaction.fetch(
        f'SELECT {column.key_name} AS key, count(*) AS "values" FROM {column.table}'  # noqa: S608  our names
        f" WHERE {name} IS NOT NULL GROUP BY 1"
    )


def _batch_sql(column: KeyedColumn, after: tuple[object, ...] | None) -> str:
    """$1: keys' names whose values stay; $2: how many rows; then the last row there was."""
    name, key = column.column, ", ".join(column.key)
    later = "" if after is None else f" AND ({key}) > ({', '.join(f'${3 + place}' for place in range(len(after)))})"
    return (
        f"SELECT {key}, {name} AS kept, {column.source} AS source FROM {column.table} WHERE {name} IS NOT NULL"  # noqa: S608  our names
        f" AND {column.key_name} <> ALL($1::text[]){later} ORDER BY {key} LIMIT $2"
    )


def _replace_sql(column: KeyedColumn) -> str:
    """$1: what is there, $2: what shall be, then the row: unless somebody else has written there."""
    row = " AND ".join(f"{name} = ${3 + place}" for place, name in enumerate(column.key))
    return f"UPDATE {column.table} SET {column.column} = $2 WHERE {column.column} = $1 AND {row}"  # noqa: S608  as above
