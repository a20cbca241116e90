"""The folder that is moved: which files lie in it and what they are; read without leaving it by a link or a name."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cloud.lowdb.mapping import FOLDER, MACHINE, Collection, Mapping

PIECE_BYTES = 256 * 1024
PICTURE_BYTES = 20 * 1024 * 1024


class NotTaken(Exception):
    """A file or folder is left where it is. The text says why."""


class Changing(NotTaken):
    """Somebody writes to it while it is read."""


@dataclass(frozen=True)
class Source:
    """A file with records: its path below the folder, the machine its folder is called like, and what is in it."""

    path: str
    machine: str | None
    collections: tuple[Collection, ...]
    is_leftover: bool = False
    """A `.NAME.tmp`, which a write that broke off has left beside it."""


@dataclass(frozen=True)
class PictureFile:
    """A picture in the folder of a machine."""

    path: str
    machine: str
    name: str


@dataclass
class Listed:
    """All that lies there. `left` are what nobody takes, and why."""

    sources: list[Source] = field(default_factory=list)
    pictures: list[PictureFile] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


class Folder:
    """A folder of LowDB files, which is only read."""

    def __init__(self, root: Path, mapping: Mapping) -> None:
        self._root = root
        self._mapping = mapping

    def listed(self) -> Listed:
        """What is in it, inventories first: orders refer to them."""
        found = Listed()
        for path in sorted(self._files("", found)):
            self._sort_in(path, found)
        found.sources.sort(key=lambda source: (source.machine or "", _rank(source), source.path))
        return found

    def _files(self, folder: str, found: Listed) -> Iterator[str]:
        with os.scandir(self._root / folder) as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if not entry.name.isprintable() or not _is_storable(path):
                    found.left.append((repr(path)[:200], "has a name that nobody can write down"))
                elif entry.is_symlink():
                    found.left.append((path, "is a link: it may lead out of the folder"))
                elif entry.is_dir(follow_symlinks=False):
                    yield from self._files(f"{path}/", found)
                elif entry.is_file(follow_symlinks=False):
                    yield path
                else:
                    found.left.append((path, "is no file"))

    def _sort_in(self, path: str, found: Listed) -> None:
        folder, _, name = path.rpartition("/")
        leftover = name.startswith(".") and name.endswith(".tmp")
        looked_for = f"{folder}/{name[1:-4]}".lstrip("/") if leftover else path
        taken = [(machine, one) for one in self._mapping.collections for machine in _machine(one.file, looked_for)]
        if taken:
            machine = taken[0][0]
            if machine is not None and not FOLDER.fullmatch(machine):
                found.left.append((path, "lies in a folder that is called like no machine"))
            else:
                found.sources.append(Source(path, machine, tuple(one for _, one in taken), leftover))
            return
        for pattern in self._mapping.pictures:
            for machine in _machine(f"{pattern}/{name}", path):
                if machine is not None and FOLDER.fullmatch(machine):
                    found.pictures.append(PictureFile(path, machine, name))
                    return
        found.left.append((path, "is nothing the mapping names"))

    @contextmanager
    def opened(self, path: str) -> Iterator[BinaryIO]:
        """A file of it. Raises NotTaken for a link; Changing if it is not the same at the end."""
        try:
            handle = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise NotTaken(f"cannot be read: {error.strerror}") from error
        with os.fdopen(handle, "rb") as file:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                raise NotTaken("is no file")
            yield file
            after = os.fstat(handle)
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise Changing("is being written to: stop what writes there first")

    def digest(self, path: str) -> tuple[str, int]:
        """SHA-256 in hex, and size. Raises NotTaken."""
        digest, size = hashlib.sha256(), 0
        with self.opened(path) as file:
            for piece in pieces_of(file):
                digest.update(piece)
                size += len(piece)
        return digest.hexdigest(), size


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """All of it."""
    return iter(lambda: file.read(PIECE_BYTES), b"")


def _is_storable(path: str) -> bool:
    try:
        return len(path.encode()) <= 1000
    except UnicodeEncodeError:
        return False


def _rank(source: Source) -> tuple[bool, bool]:
    """A leftover is looked at after its file, orders after the inventory."""
    return all(one.kind == "orders" for one in source.collections), source.is_leftover


def _machine(pattern: str, path: str) -> Iterator[str | None]:
    """Once if the path is one of the pattern's: what stands for {machine} there."""
    wanted, there = pattern.split("/"), path.split("/")
    if len(wanted) == len(there):
        machine = None
        for part, name in zip(wanted, there, strict=True):
            if part == MACHINE:
                machine = name
            elif part != name:
                return
        yield machine
