"""The gateway's SQLite ledger: one file, one connection, one thread, and one way to change it.

A unit of work is a *synchronous* function that runs on the connection's own thread between BEGIN IMMEDIATE and COMMIT.
It cannot await, so no client that leaves and no cancelled task can stop it half way or hold its lock, and it costs one
thread hop however many statements it has.
"""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import aiosqlite
import structlog

from edge.errors import DatabaseError, StorageFull
from edge.failpoints import Failpoints
from edge.ledger_file import LEDGER_MARK, LedgerFile
from edge.watch import Watch

T = TypeVar("T")
Value = str | int | float | bytes | None
MIGRATIONS = Path(__file__).parent / "migrations"
RESERVE_BYTES = 16 * 1024 * 1024
"""Room that is given up to finish what is under way when the disk is full."""
OPENING_BYTES = 1024 * 1024
"""Room that opening the ledger may take."""

log = structlog.get_logger()


class Transaction:
    """What a unit of work may do. Valid only while the unit runs."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._gathered: dict[Callable[..., None], list[Any]] = {}
        self._touched: set[str] = set()
        self._meanwhile: list[Callable[[], Callable[[], None]]] = []
        self._then: list[Callable[[], None]] = []

    def run(self, sql: str, *values: Value) -> int:
        """Run one statement; the number of rows it changed."""
        return self._connection.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        """Run one statement for each row of values."""
        self._connection.executemany(sql, rows)

    def one(self, sql: str, *values: Value) -> sqlite3.Row | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        """All rows."""
        return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """What the block does here is undone if it raises, touches aside; the transaction can go on without it."""
        gathered = {write: len(items) for write, items in self._gathered.items()}
        meanwhile, then = len(self._meanwhile), len(self._then)
        self.run("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # a full disk may have undone all of it
                self.run("ROLLBACK TO attempt")
                self.run("RELEASE attempt")
            for write, items in self._gathered.items():
                del items[gathered.get(write, 0) :]
            del self._meanwhile[meanwhile:], self._then[then:]
            raise
        self.run("RELEASE attempt")

    def gather(self, write: "Callable[[Transaction, list[T]], None]", items: Iterable[T]) -> None:
        """Have `write` called once, right before the commit, with all items gathered for it, in order."""
        self._gathered.setdefault(write, []).extend(items)

    def touch(self, *keys: str) -> None:
        """Wake those who watch these keys (watch.py), once this is committed."""
        self._touched.update(keys)

    def then(self, tell: Callable[[], None]) -> None:
        """Call `tell` on the event loop once this is committed, before anyone is woken. It must not raise."""
        self._then.append(tell)

    def meanwhile(self, prepare: Callable[[], Callable[[], None]]) -> None:
        """Call `prepare` on the event loop while the commit is on its way to the disk, and what it returns `then`.

        Nothing may leave the program before the commit; what is to leave can be made ready. It must not raise.
        """
        self._meanwhile.append(prepare)

    @property
    def has_meanwhile(self) -> bool:
        """Whether there is anything to prepare."""
        return bool(self._meanwhile)

    def prepare(self) -> None:
        """What the commit need not be waited for."""
        self._then.extend([prepare() for prepare in self._meanwhile])

    def finish(self) -> None:
        """What was left for right before the commit."""
        for write, items in self._gathered.items():
            if items:
                write(self, items)

    def committed(self, watch: Watch) -> None:
        """What was to follow the commit."""
        for tell in self._then:
            tell()
        watch.touch(self._touched)


class _LedgerThread(aiosqlite.Connection):
    """aiosqlite's connection thread, used for whole units of work instead of single statements."""

    _execute: Callable[..., Coroutine[Any, Any, Any]]

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self._execute(work, self._conn)
        return result


class Database:
    """The open ledger. `folder` holds `ledger.db`, its backup, its epoch and what was quarantined."""

    def __init__(self, folder: Path, watch: Watch, failpoints: Failpoints) -> None:
        self._folder = folder
        self._watch = watch
        self._failpoints = failpoints
        self._file = LedgerFile(folder)
        self._reserve = folder / "reserve.bin"
        self._reserving = Lock()
        self._connection: _LedgerThread | None = None

    async def open(self) -> int:
        """Check, restore if need be, migrate; the epoch facts must be written under.

        One above the ledger's own means that the file was lost, or restored from a backup. Raises DatabaseError.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file.lock()
            self._make_way()
            epoch = await asyncio.to_thread(self._file.mend)
            self._connection = _LedgerThread(lambda: sqlite3.connect(self._file.path, isolation_level=None), 64)
            _ = await self._connection
            await self._connection.run(_configure)
            await self._connection.run(_migrate)
        except (sqlite3.Error, OSError) as error:
            await self.close()
            raise DatabaseError(f"{self._file.path} cannot be opened: {error}") from error
        except BaseException:
            await self.close()
            raise
        self.has_room()
        return epoch

    async def close(self) -> None:
        """Finish the unit under way and close. Safe to call twice."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()
        self._file.unlock()

    async def unit(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Run `work` as one transaction, committed to the disk when this returns; whatever it raises rolls it back.

        A caller that is cancelled leaves; the unit ends all the same. When the disk is full the reserve is given up and
        `work` runs a second time: it finishes what is under way, or finds that `has_room` is false. Raises StorageFull
        when there is no room even so.
        """
        loop = asyncio.get_running_loop()

        def run(connection: sqlite3.Connection) -> T:
            try:
                result, transaction = self._commit(connection, loop, name, work)
            except sqlite3.OperationalError as error:
                if not _is_full(error):
                    raise
                log.error("storage_full", unit=name, reserve=self._reserve.exists())
                self._reserve.unlink(missing_ok=True)
                result, transaction = self._commit(connection, loop, name, work)
            loop.call_soon_threadsafe(transaction.committed, self._watch)
            return result

        try:
            return await self._thread.run(run)
        except sqlite3.OperationalError as error:
            if _is_full(error):
                raise StorageFull from error
            raise

    def _commit(
        self,
        connection: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop,
        name: str,
        work: Callable[[Transaction], T],
    ) -> tuple[T, Transaction]:
        transaction = Transaction(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(transaction)
            transaction.finish()
            self._failpoints.hit(f"{name}.before_commit")
            if transaction.has_meanwhile:
                loop.call_soon_threadsafe(transaction.prepare)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._failpoints.hit(f"{name}.after_commit")
        return result, transaction

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one consistent snapshot. It must not write."""

        def run(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return work(Transaction(connection))
            finally:
                connection.execute("ROLLBACK")

        return await self._thread.run(run)

    def has_room(self) -> bool:
        """Whether a new promise may be made: false once the reserve is gone and cannot be had again.

        To be asked from any thread: within a unit of work, and beside it.
        """
        with self._reserving:
            return self._keep_reserve()

    async def raise_epoch(self, epoch: int) -> None:
        """Remember that facts go under `epoch`, for the day the ledger itself is lost. To be called before they do."""
        await asyncio.to_thread(self._file.raise_epoch, epoch)

    async def back_up(self) -> None:
        """Replace the backup by a consistent copy of now. Raises StorageFull."""
        fresh = self._folder / "ledger.backup.new"

        def copy(connection: sqlite3.Connection) -> None:
            fresh.unlink(missing_ok=True)
            connection.execute("VACUUM INTO ?", (str(fresh),))
            self._file.replace_backup(fresh)

        try:
            await self._thread.run(copy)
        except sqlite3.OperationalError as error:
            fresh.unlink(missing_ok=True)
            if _is_full(error):
                raise StorageFull from error
            raise

    @property
    def folder(self) -> Path:
        """Where the ledger lies."""
        return self._folder

    @property
    def _thread(self) -> _LedgerThread:
        if self._connection is None:
            raise DatabaseError("the ledger is not open")
        return self._connection

    def _make_way(self) -> None:
        """SQLite cannot even open a ledger on a full disk: finishing what is under way begins here."""
        if shutil.disk_usage(self._folder).free < OPENING_BYTES and self._reserve.exists():
            log.error("storage_full", unit="open", reserve=True)
            self._reserve.unlink()

    def _keep_reserve(self) -> bool:
        if self._reserve.exists():
            return True
        fresh = self._reserve.with_suffix(".new")
        try:
            # Twice the reserve must be free, so that a nearly full disk does not swing between selling and not selling.
            if shutil.disk_usage(self._folder).free < 2 * RESERVE_BYTES:
                return False
            with fresh.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
            fresh.replace(self._reserve)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            log.error("no_room_for_reserve", error=str(error))
            return False
        return True


def _is_full(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_FULL


def _configure(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    for name, value in wanted.items():
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if found != value:
            raise DatabaseError(f"{name} is {found}, must be {value}")


def _migrate(connection: sqlite3.Connection) -> None:
    files = sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    done = connection.execute("PRAGMA user_version").fetchone()[0]
    if done > len(files):
        raise DatabaseError(f"the ledger is of a newer version ({done}) than this program ({len(files)})")
    for number, file in enumerate(files[done:], start=done + 1):
        marks = f"PRAGMA user_version = {number}; PRAGMA application_id = {LEDGER_MARK + number};"
        connection.executescript(f"BEGIN;\n{file.read_text()}\n{marks}\nCOMMIT;")
