"""The ledger as a file: locked against a second process, checked, put away when damaged, restored from its backup.

The epoch stands in a file of its own beside it, so that a ledger that is lost or restored never writes facts, nor
numbers commands, under an epoch that was used before.
"""

import fcntl
import os
import shutil
import sqlite3
import struct
import time
from pathlib import Path

import structlog

from edge.errors import DatabaseError

LEDGER_MARK = 0x4C6C0000
"""application_id of a ledger less its user_version: the version stands twice, so a damaged one is seen."""

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY})
"""What SQLite says of a damaged file that may be written."""

log = structlog.get_logger()


class LedgerFile:
    """`ledger.db` in `folder`, its backup, its epoch, its lock and its quarantine."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        self._folder = folder
        self._backup = folder / "ledger.backup.db"
        self._epoch = folder / "epoch"
        self._lock = -1

    def lock(self) -> None:
        """Keep every other process out until `unlock`. Raises DatabaseError."""
        self._lock = os.open(self._folder / "ledger.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            self._lock = -1
            raise DatabaseError(f"another process has {self.path} open") from error

    def unlock(self) -> None:
        """Let go. Safe to call twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def mend(self) -> int:
        """Quarantine a damaged ledger and put its backup in place; the epoch facts must be written under.

        The epoch rises *before* a file is replaced, so that a crash in between cannot use one twice.
        """
        known = self._read_epoch()
        if not is_wal_sound(Path(f"{self.path}-wal")):
            # SQLite would pass over it without a word, and with it over commits whose numbers the cloud may know.
            known += 1
            self._write_epoch(known)
            self._quarantine("-wal", "-shm")
        # An empty file is what a full disk or a crash of the file system may leave of a ledger.
        if self.path.exists() and self.path.stat().st_size and is_sound(self.path):
            return max(known, 1)
        epoch = max(known, epoch_in(self._backup)) + 1
        self._write_epoch(epoch)
        # The ledger itself last: until it is gone, the next start comes here again.
        self._quarantine("-wal", "-shm", "")
        if self._backup.exists() and is_sound(self._backup):
            restored = self.path.with_suffix(".restored")
            shutil.copyfile(self._backup, restored)
            sync_to_disk(restored)
            restored.replace(self.path)
            sync_to_disk(self._folder)
            log.error("ledger_restored", epoch=epoch)
        return epoch

    def _quarantine(self, *suffixes: str) -> None:
        """Put away what there is of the ledger: a -wal beside the restored file would be taken for its own."""
        remains = [file for suffix in suffixes if (file := Path(f"{self.path}{suffix}")).exists()]
        if not remains:
            return
        place = self._folder / "quarantine" / f"{time.time_ns()}"
        place.mkdir(parents=True)
        for file in remains:
            file.replace(place / file.name)
        sync_to_disk(self._folder)
        log.error("ledger_quarantined", place=place.name)

    def _write_epoch(self, epoch: int) -> None:
        fresh = self._epoch.with_suffix(".new")
        fresh.write_text(str(epoch))
        sync_to_disk(fresh)
        fresh.replace(self._epoch)
        sync_to_disk(self._folder)

    def raise_epoch(self, epoch: int) -> None:
        """Remember that facts go under `epoch`. To be called before they do."""
        if self._read_epoch() < epoch:
            self._write_epoch(epoch)

    def replace_backup(self, fresh: Path) -> None:
        """Put a complete copy in the backup's place."""
        sync_to_disk(fresh)
        fresh.replace(self._backup)
        sync_to_disk(self._folder)

    def _read_epoch(self) -> int:
        """0 if it is not known: then the ledger's own word counts."""
        try:
            return int(self._epoch.read_text())
        except FileNotFoundError:
            return 0
        except ValueError:
            log.error("epoch_unreadable", file=str(self._epoch))
            return 0


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


def epoch_in(path: Path) -> int:
    """The epoch a ledger's facts go under by its own word; 0 if there is none to ask."""
    if not path.exists():
        return 0
    try:
        connection = sqlite3.connect(path)
        try:
            return int(connection.execute("SELECT epoch FROM outbox_head").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return 0


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


def sync_to_disk(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
