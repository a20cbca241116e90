"""The files of a release of the program, into the folder that does not run."""

import hashlib
import os

from . import slots, standing
from .flash import Flash
from .messages import to_hex
from .release import File, Manifest, Refused, unpacked

CHUNK_BYTES = 2048
RESERVE_BYTES = 64 * 1024
"""Of the flash, for journal and settings."""
BLOCK_BYTES = 4096
METADATA_BYTES = 300
"""Of littlefs, a file: two blocks for some thirty names of this length."""
TOLD_BYTES = 32 * 1024


async def take(taking, path: str, manifest: Manifest, marker: dict) -> None:
    """To the restart. Raises Refused, Unanswered, OSError."""
    folder = Folder(taking)
    folder.begin(path, manifest.files)
    told = 0
    for packed in manifest.files:
        file = unpacked(packed)
        await folder.fetch(file)
        told += file.size
        if told >= TOLD_BYTES:
            taking.tell()
            told = 0
    # What was written is one thing, what can be read of it another.
    for packed in manifest.files:
        await folder.compare(unpacked(packed))
    await taking.boot(slots.changed(marker, trial=taking.idle))


class Folder:
    """a/ or b/: whichever is idle."""

    def __init__(self, taking) -> None:
        self._taking = taking
        self._path = taking.root + taking.idle
        self._files = Flash(self._path + "/vending")

    def begin(self, signed: str, files: list) -> None:
        """The folder holds nothing but what belongs to this release, signed as it lies there, and proves nothing.

        Raises Refused, with the folder as it was, if the flash has no room for all of it.
        """
        self._find_room(files)
        for path in (self._path, self._path + "/vending"):
            if not _is_there(path):
                os.mkdir(path)
        own = Flash(self._path)
        own.remove("proven")
        names = {unpacked(file).name for file in files}
        names.update([_part(unpacked(file)) for file in files])
        for name in os.listdir(self._path + "/vending"):
            if name not in names:
                self._files.remove(name)
        if signed != self._path + "/" + standing.RELEASE:
            os.rename(signed, self._path + "/" + standing.RELEASE)

    def _find_room(self, files: list) -> None:
        """Raises Refused. Whatever lies in the folder gives way to the release, sooner or later."""
        path = self._path + "/vending"
        lying = sum([_blocks(self._size(name)) for name in os.listdir(path)]) if _is_there(path) else 0
        needed = sum([_blocks(unpacked(file).size) + METADATA_BYTES for file in files])
        if needed + RESERVE_BYTES > lying + self._taking.free_bytes():
            raise Refused("no room on the flash")

    async def fetch(self, file: File) -> None:
        """All of it. What lies there already is hashed, not believed."""
        if self._files.has(file.name):
            if await self._is_right(file):
                return
            self._files.remove(file.name)
        part = _part(file)
        if self._size(part) > file.size:
            self._files.remove(part)
        hasher = await self._hashed(part)
        place = self._size(part)
        while place < file.size:
            piece = await self._taking.piece(file.sha256, place, file.size - place)
            self._files.append(part, piece)
            hasher.update(piece)
            place += len(piece)
        if to_hex(hasher.digest()) != file.sha256:
            self._files.remove(part)
            raise Refused(file.name + " is not what was signed")
        self._files.rename(part, file.name)

    async def compare(self, file: File) -> None:
        """Raises Refused, and removes it, unless it is on flash as it was signed."""
        if not await self._is_right(file):
            self._files.remove(file.name)
            raise Refused(file.name + " reads back differently")

    async def _is_right(self, file: File) -> bool:
        return to_hex((await self._hashed(file.name)).digest()) == file.sha256

    async def _hashed(self, name: str):
        """SHA-256 of the file so far, which can go on."""
        hasher = hashlib.sha256()
        place, size = 0, self._size(name)
        while place < size:
            await self._taking.rest()
            with open(self._path + "/vending/" + name, "rb") as file:
                file.seek(place)
                chunk = file.read(CHUNK_BYTES)
            hasher.update(chunk)
            place += len(chunk)
        return hasher

    def _size(self, name: str) -> int:
        return os.stat(self._path + "/vending/" + name)[6] if self._files.has(name) else 0


def _blocks(size: int) -> int:
    """What a file of that size takes of the flash: whole blocks."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _part(file: File) -> str:
    """Where its first bytes lie; those of another release's file are never taken for them."""
    return file.sha256[:16] + ".part"


def _is_there(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True
