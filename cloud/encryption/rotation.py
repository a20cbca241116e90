"""Going over to a new key while the service runs, and which keys are still needed.

Walls stand for this, too: it works for one tenant (or user) after the other, whose ids are all it sees of them at once.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog

from cloud.database import Database, Row, Transaction, Work
from cloud.encryption.columns import ENCRYPTED, EncryptedColumn, Owner
from cloud.encryption.keyring import Keyring
from cloud.errors import SettingsError, Undecipherable

log = structlog.get_logger()

T = TypeVar("T")

NOT_ENCRYPTED = ""
"""In place of a key's name."""
START_BATCH = 500

_NAMES = "SELECT name FROM encryption_keys"
_FORGET = "DELETE FROM encryption_keys WHERE name = ANY($1)"
_REMEMBER = "INSERT INTO encryption_keys (name) VALUES ($1) ON CONFLICT DO NOTHING"


@dataclass(frozen=True)
class KeyUse:
    """How many values of a column a key has encrypted."""

    column: EncryptedColumn
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

    column: EncryptedColumn
    owner_id: UUID


class Rotation:
    """All encrypted values, whosever they are, and the keys they need."""

    def __init__(self, database: Database, keyring: Keyring, encrypted: Sequence[EncryptedColumn] = ENCRYPTED) -> None:
        self._database = database
        self._keyring = keyring
        self._encrypted = encrypted

    async def begin(self) -> None:
        """At start, before anything is encrypted: every key that is needed is there, and nothing is left in plain.

        Looks through the values only after a key was removed, or a column is newly encrypted. Raises SettingsError.
        """
        names = await self._database.unit("keys.names", _names)
        missing = names - self._keyring.names
        if NOT_ENCRYPTED in missing:
            await self._rotate_all((names | self._keyring.names) - {NOT_ENCRYPTED}, START_BATCH, _say_nothing)
        if missing:
            self._refuse_without(missing - {NOT_ENCRYPTED}, await self.counts())
        await self._database.unit("keys.begin", partial(_keep_names, missing, self._keyring.newest))

    def _refuse_without(self, missing: frozenset[str], uses: Sequence[KeyUse]) -> None:
        for name in sorted(missing):
            values = sum(use.values for use in uses if use.key == name)
            if values:
                raise SettingsError(
                    f"LARDER_CLOUD_ENCRYPTION_KEYS lacks {name}, which {values} values still need:"
                    " put it back, and let python -m cloud keys rotate come to 100 % first"
                )

    async def counts(self) -> list[KeyUse]:
        """How many values each key has, by table, column and key."""
        total: Counter[tuple[EncryptedColumn, str]] = Counter()
        async for part in self._parts():
            for row in await self._unit("keys.count", part, partial(_count, part.column)):
                total[part.column, row["key"]] += row["values"]
        uses = [KeyUse(column, key, values) for (column, key), values in total.items()]
        return sorted(uses, key=lambda use: (use.column.table, use.column.column, use.key))

    async def rotate(self, batch: int, told: Callable[[Rotated], None]) -> Rotated:
        """Encrypt with the newest key whatever is not; calls `told` after each batch, which is one transaction.

        Cut off and begun anew it does what is left. What others write meanwhile stands.
        """
        return await self._rotate_all(frozenset({self._keyring.newest}), batch, told)

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
        column: EncryptedColumn,
        kept: frozenset[str],
        after: tuple[object, ...] | None,
        batch: int,
        transaction: Transaction,
    ) -> tuple[Sequence[Row], Rotated]:
        rows = await transaction.fetch(_batch_sql(column, after), list(kept), batch, *(after or ()))
        done = Rotated()
        for row in rows:
            sealed = self._resealed(column, _key(column, row), row["kept"])
            if sealed is None:
                done.unreadable += 1
            elif await transaction.execute(_replace_sql(column), row["kept"], sealed, *_key(column, row)):
                done.changed += 1
            else:
                done.overtaken += 1
        return rows, done

    def _resealed(self, column: EncryptedColumn, row: tuple[object, ...], kept: str) -> str | None:
        """The same value with the newest key."""
        try:
            plain = column.open(self._keyring, row, kept) if ".gAAAA" in kept else kept
        except Undecipherable as error:
            log.error("value_unreadable", reason=str(error))
            return None
        return column.seal(self._keyring, row, plain)

    async def _parts(self) -> AsyncIterator[_Part]:
        for column in self._encrypted:
            for owner_id in await self._database.unit("keys.owners", partial(_owners, column.owner)):
                yield _Part(column, owner_id)

    async def _unit(self, name: str, part: _Part, work: Work[T]) -> T:
        if part.column.owner is Owner.USER:
            return await self._database.unit(name, work, user_id=part.owner_id)
        return await self._database.unit(name, work, tenant_id=part.owner_id)


def _say_nothing(_: Rotated) -> None:
    pass


def _key(column: EncryptedColumn, row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in column.key)


async def _names(transaction: Transaction) -> frozenset[str]:
    return frozenset(row["name"] for row in await transaction.fetch(_NAMES))


async def _keep_names(gone: frozenset[str], newest: str, transaction: Transaction) -> None:
    await transaction.execute(_FORGET, list(gone))
    await transaction.execute(_REMEMBER, newest)


async def _owners(owner: Owner, transaction: Transaction) -> list[UUID]:
    return [row["id"] for row in await transaction.fetch(f"SELECT id FROM {owner.value}() AS o (id) ORDER BY id")]  # noqa: S608


async def _count(column: EncryptedColumn, transaction: Transaction) -> Sequence[Row]:
    name = column.column
    return await transaction.fetch(
        f'SELECT encryption_key_of({name}) AS key, count(*) AS "values" FROM {column.table}'  # noqa: S608  our names
        f" WHERE {name} IS NOT NULL GROUP BY 1"
    )


def _batch_sql(column: EncryptedColumn, after: tuple[object, ...] | None) -> str:
    """$1: keys' names whose values stay; $2: how many rows; then the last row there was."""
    name, key = column.column, ", ".join(column.key)
    later = "" if after is None else f" AND ({key}) > ({', '.join(f'${3 + place}' for place in range(len(after)))})"
    return (
        f"SELECT {key}, {name} AS kept FROM {column.table} WHERE {name} IS NOT NULL"  # noqa: S608  our names
        f" AND encryption_key_of({name}) <> ALL($1::text[]){later} ORDER BY {key} LIMIT $2"
    )


def _replace_sql(column: EncryptedColumn) -> str:
    """$1: what is there, $2: what shall be, then the row: unless somebody else has written there."""
    row = " AND ".join(f"{name} = ${3 + place}" for place, name in enumerate(column.key))
    return f"UPDATE {column.table} SET {column.column} = $2 WHERE {column.column} = $1 AND {row}"  # noqa: S608  as above
