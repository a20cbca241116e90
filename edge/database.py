"""The gateway's SQLite ledger: one file, one connection, one thread, and one way to change it.

A unit of work is a *synchronous* function that runs on the connection's own thread between BEGIN IMMEDIATE and COMMIT.
It cannot await, so no client that leaves and no cancelled task can stop it half way or hold its lock, and it costs one
thread hop however many statements it has.
"""

import asyncio
import fcntl
import os
import shutil
import sqlite3
import struct
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import structlog

from edge.errors import DatabaseError, StorageFull
from edge.failpoints import Failpoints
from edge.watch import Watch

T = TypeVar("T")
Value = str | int | float | bytes | None
MIGRATIONS = Path(__file__).parent / "migrations"
RESERVE_BYTES = 16 * 1024 * 1024
"""Room that is given up to finish what is under way when the disk is full."""
OPENING_BYTES = 1024 * 1024
"""Room that opening the ledger may take."""

LEDGER_MARK = 0x4C6C0000
"""application_id of a ledger less its user_version: the version stands twice, so a damaged one is seen."""

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY})
"""What SQLite says of a damaged file that may be written."""

log = structlog.get_logger()


class Transaction:
    """What a unit of work may do. Valid only while the unit runs."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._touched: set[str] = set()
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

    def touch(self, *keys: str) -> None:
        """Wake those who watch these keys (watch.py), once this is committed."""
        self._touched.update(keys)

    def then(self, tell: Callable[[], None]) -> None:
        """Call `tell` on the event loop once this is committed, before anyone is woken. It must not raise."""
        self._then.append(tell)

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
        self._path = folder / "ledger.db"
        self._backup = folder / "ledger.backup.db"
        self._reserve = folder / "reserve.bin"
        self._epoch = folder / "epoch"
        self._connection: _LedgerThread | None = None
        self._lock = -1

    async def open(self) -> int:
        """Check, restore if need be, migrate; the epoch facts must be written under.

        One above the ledger's own means that the file was lost, or restored from a backup. Raises DatabaseError.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._make_way()
            epoch = await asyncio.to_thread(self._mend)
            self._connection = _LedgerThread(lambda: sqlite3.connect(self._path, isolation_level=None), 64)
            _ = await self._connection
            await self._connection.run(_configure)
            await self._connection.run(_migrate)
        except (sqlite3.Error, OSError) as error:
            await self.close()
            raise DatabaseError(f"{self._path} cannot be opened: {error}") from error
        except BaseException:
            await self.close()
            raise
        self._keep_reserve()
        return epoch

    async def close(self) -> None:
        """Finish the unit under way and close. Safe to call twice."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def unit(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Run `work` as one transaction, committed to the disk when this returns; whatever it raises rolls it back.

        A caller that is cancelled leaves; the unit ends all the same. When the disk is full the reserve is given up and
        `work` runs a second time: it finishes what is under way, or finds that `has_room` is false. Raises StorageFull
        when there is no room even so.
        """
        loop = asyncio.get_running_loop()

        def run(connection: sqlite3.Connection) -> T:
            try:
                result, transaction = self._commit(connection, name, work)
            except sqlite3.OperationalError as error:
                if not _is_full(error):
                    raise
                log.error("storage_full", unit=name, reserve=self._reserve.exists())
                self._reserve.unlink(missing_ok=True)
                result, transaction = self._commit(connection, name, work)
            loop.call_soon_threadsafe(transaction.committed, self._watch)
            return result

        try:
            return await self._thread.run(run)
        except sqlite3.OperationalError as error:
            if _is_full(error):
                raise StorageFull from error
            raise

    def _commit(
        self, connection: sqlite3.Connection, name: str, work: Callable[[Transaction], T]
    ) -> tuple[T, Transaction]:
        transaction = Transaction(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(transaction)
            self._failpoints.hit(f"{name}.before_commit")
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
        """Whether a new promise may be made: false once the reserve is gone and cannot be had again."""
        if not self._reserve.exists():
            self._keep_reserve()
        return self._reserve.exists()

    async def raise_epoch(self, epoch: int) -> None:
        """Remember that facts go under `epoch`, for the day the ledger itself is lost. To be called before they do."""
        if not self._epoch.exists() or int(self._epoch.read_text()) < epoch:
            await asyncio.to_thread(self._write_epoch, epoch)

    async def back_up(self) -> None:
        """Replace the backup by a consistent copy of now. Raises StorageFull."""
        fresh = self._backup.with_suffix(".new")

        def copy(connection: sqlite3.Connection) -> None:
            fresh.unlink(missing_ok=True)
            connection.execute("VACUUM INTO ?", (str(fresh),))
            _sync(fresh)
            fresh.replace(self._backup)
            _sync(self._folder)

        try:
            await self._thread.run(copy)
        except sqlite3.OperationalError as error:
            fresh.unlink(missing_ok=True)
            if _is_full(error):
                raise StorageFull from error
            raise

    @property
    def _thread(self) -> _LedgerThread:
        if self._connection is None:
            raise DatabaseError("the ledger is not open")
        return self._connection

    def _take_lock(self) -> None:
        self._lock = os.open(self._folder / "ledger.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            self._lock = -1
            raise DatabaseError(f"another process has {self._path} open") from error

    def _make_way(self) -> None:
        """SQLite cannot even open a ledger on a full disk: finishing what is under way begins here."""
        if shutil.disk_usage(self._folder).free < OPENING_BYTES and self._reserve.exists():
            log.error("storage_full", unit="open", reserve=True)
            self._reserve.unlink()

    def _mend(self) -> int:
        """Quarantine a damaged ledger and put its backup in place. The epoch rises *before* the file is replaced."""
        known = int(self._epoch.read_text()) if self._epoch.exists() else 0
        if not is_wal_sound(Path(f"{self._path}-wal")):
            # SQLite would pass over it without a word, and with it over commits whose numbers the cloud may know.
            known += 1
            self._write_epoch(known)
            self._quarantine("-wal", "-shm")
        # An empty file is what a full disk or a crash of the file system may leave of a ledger.
        if self._path.exists() and self._path.stat().st_size and is_sound(self._path):
            return max(known, 1)
        epoch = known + 1
        self._write_epoch(epoch)
        # The ledger itself last: until it is gone, the next start comes here again.
        self._quarantine("-wal", "-shm", "")
        if self._backup.exists() and is_sound(self._backup):
            restored = self._path.with_suffix(".restored")
            shutil.copyfile(self._backup, restored)
            _sync(restored)
            restored.replace(self._path)
            _sync(self._folder)
            log.error("ledger_restored", epoch=epoch)
        return epoch

    def _quarantine(self, *suffixes: str) -> None:
        """Put away what there is of the ledger: a -wal beside the restored file would be taken for its own."""
        remains = [file for suffix in suffixes if (file := Path(f"{self._path}{suffix}")).exists()]
        if not remains:
            return
        place = self._folder / "quarantine" / f"{time.time_ns()}"
        place.mkdir(parents=True)
        for file in remains:
            file.replace(place / file.name)
        _sync(self._folder)
        log.error("ledger_quarantined", place=place.name)

    def _write_epoch(self, epoch: int) -> None:
        fresh = self._epoch.with_suffix(".new")
        fresh.write_text(str(epoch))
        _sync(fresh)
        fresh.replace(self._epoch)
        _sync(self._folder)

    def _keep_reserve(self) -> None:
        if self._reserve.exists():
            return
        fresh = self._reserve.with_suffix(".new")
        try:
            # Twice the reserve must be free, so that a nearly full disk does not swing between selling and not selling.
            if shutil.disk_usage(self._folder).free < 2 * RESERVE_BYTES:
                return
            with fresh.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
            fresh.replace(self._reserve)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            log.error("no_room_for_reserve", error=str(error))


def _is_full(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_FULL


def is_sound(path: Path) -> bool:
    """Whether SQLite finds the file's structure whole, its WAL replayed, and its header does not forbid its use.

    Raises OSError and sqlite3.Error for what is no damage (a full disk, a lock, a missing right): the ledger must not
    be put away for that.
    """
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path} cannot be written")
    try:
        connection = sqlite3.connect(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            mark = connection.execute("PRAGMA application_id").fetchone()[0]
            whole = [row[0] for row in connection.execute("PRAGMA quick_check")] == ["ok"]
            return whole and mark in (0, LEDGER_MARK + version)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGE:
            raise
        return False


def is_wal_sound(path: Path) -> bool:
    """Whether a -wal is absent, unused or has a valid header (https://sqlite.org/fileformat2.html#walformat).

    What a crash tears off its end is no damage, and damage there cannot be told from it.
    """
    header = path.read_bytes()[:32] if path.exists() else b""
    if not header.strip(b"\0"):
        return True
    magic = int.from_bytes(header[:4], "big")
    if len(header) < 32 or magic & ~1 != 0x377F0682:
        return False
    words = struct.unpack(">8I" if magic & 1 else "<8I", header)
    first = second = 0
    for index in range(0, 6, 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return (first, second) == struct.unpack(">2I", header[24:])


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


def _sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
