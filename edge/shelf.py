"""Files by their SHA-256 on the gateway's disk. Every call may block on the disk: it is made in a thread.

A file is written beside its place, forced to the disk, and moved there whole. Disks forget: it is believed only after
its SHA-256 was found right, again each time somebody begins to read it.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import structlog

from edge.errors import StorageFull, Unavailable
from shared.errors import Code

LIMIT_BYTES = 64 * 1024 * 1024
NAME = re.compile(r"[0-9a-f]{64}")
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

log = structlog.get_logger()


class FileDamaged(Exception):
    """What arrived is not the file that was asked for. It was thrown away; it has to be fetched from its beginning."""


class ShelfFull(StorageFull):
    """More files are wanted than may be kept. Sales are not concerned."""

    def __init__(self) -> None:
        Unavailable.__init__(self, Code.STORAGE_FULL, "There is no room for more files of devices.")


class Shelf:
    """All files in `folder`, together at most `limit_bytes`. Safe to use from several threads."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self.limit_bytes = limit_bytes
        self._lock = RLock()
        self._proven: set[str] = set()
        self._pinned: set[str] = set()

    def put(self, data: bytes) -> str:
        """Keep `data`; its digest. It stays until it was permitted once. Raises StorageFull."""
        digest = hashlib.sha256(data).hexdigest()
        with self._lock:
            self._pinned.add(digest)
            if not self.holds(digest):
                self._part(digest).unlink(missing_ok=True)
                self.begin(digest, len(data))
                self.append(digest, data)
                self.finish(digest)
        return digest

    def begin(self, digest: str, size: int) -> int:
        """Make ready for a file of that size; how much of it lies here already. Raises StorageFull."""
        with self._lock, _room():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = self._part(digest)
            begun = part.stat().st_size if part.exists() else 0
            if begun > size:
                part.unlink()
                begun = 0
            if self._used() - begun + size > self.limit_bytes:
                raise ShelfFull
            return begun

    def append(self, digest: str, data: bytes) -> None:
        """What comes next of a file that was begun. Raises StorageFull."""
        with self._lock, _room(), self._part(digest).open("ab") as file:
            file.write(data)

    def finish(self, digest: str) -> None:
        """All of it has come. Raises FileDamaged, StorageFull."""
        with self._lock, _room():
            part = self._part(digest)
            if not part.exists() or _sha256(part) != digest:
                part.unlink(missing_ok=True)
                raise FileDamaged(digest)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(self._folder / digest)
            _sync_folder(self._folder)
            self._proven.add(digest)

    def holds(self, digest: str) -> bool:
        """Whether the whole file is here and right. One that was damaged is removed."""
        with self._lock:
            self._proven.discard(digest)
            return self._prove(digest)

    def lacks(self, digests: Iterable[str]) -> list[str]:
        """Those of them that are not here, in their order. What was found right once is only looked for."""
        with self._lock:
            return [digest for digest in digests if not self._prove(digest)]

    def read(self, digest: str, offset: int, size: int) -> bytes:
        """So many bytes from there on, fewer at its end; empty too if there is no such file, or it was damaged."""
        with self._lock:
            if not (self.holds(digest) if offset == 0 else self._prove(digest)):
                return b""
            with (self._folder / digest).open("rb") as file:
                file.seek(offset)
                return file.read(size)

    def free_to_go(self) -> frozenset[str]:
        """All that lies here, but what was put here and is still to be permitted."""
        with self._lock:
            return frozenset(path.name[:64] for path in self._files()) - self._pinned

    def discard(self, digest: str) -> None:
        """Nobody needs it any more, unless it was put here anew meanwhile."""
        with self._lock:
            if digest not in self._pinned:
                self._proven.discard(digest)
                for path in (self._folder / digest, self._part(digest)):
                    path.unlink(missing_ok=True)

    def unpin(self, permitted: frozenset[str]) -> None:
        """These were permitted: from now on they stay as long as that lasts."""
        with self._lock:
            self._pinned -= permitted

    def _prove(self, digest: str) -> bool:
        path = self._folder / digest
        if not path.exists():
            self._proven.discard(digest)
        elif digest not in self._proven:
            if _sha256(path) == digest:
                self._proven.add(digest)
            else:
                log.error("parcel_damaged", digest=digest)
                path.unlink()
        return digest in self._proven

    def _part(self, digest: str) -> Path:
        return self._folder / f"{digest}.part"

    def _files(self) -> Iterator[Path]:
        if self._folder.exists():
            yield from (path for path in self._folder.iterdir() if NAME.match(path.name))

    def _used(self) -> int:
        return sum(path.stat().st_size for path in self._files())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StorageFull from error
        raise
