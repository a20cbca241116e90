"""A release of MicroPython itself: one file, into the partition that does not run."""

import hashlib
import os

from . import progress, slots
from .messages import to_hex
from .partitions import BLOCK_BYTES, Partitions
from .release import File, Manifest, Refused, unpacked

NOTED_BLOCKS = 16
"""So often the place is noted from which it goes on after a power cut."""


async def take(taking, path: str, manifest: Manifest, marker: dict) -> None:
    """To the restart. Raises Refused, Unanswered, OSError."""
    partitions = Partitions()
    file = unpacked(manifest.files[0])
    if file.size > partitions.size:
        raise Refused("larger than the partition")
    if path != taking.root + progress.IMAGE_RELEASE:
        os.rename(path, taking.root + progress.IMAGE_RELEASE)
    await _fetch(taking, partitions, file)
    # The image as it can be read, not as it was written.
    if to_hex((await _hashed(taking, partitions, file.size)).digest()) != file.sha256:
        os.remove(taking.root + progress.IMAGE_PLACE)
        raise Refused(file.name + " is not what was signed")
    trial = [partitions.idle, manifest.version]
    await taking.boot(slots.changed(marker, image_trial=trial), partitions.boot_idle)


async def _fetch(taking, partitions: Partitions, file: File) -> None:
    noted, place = progress.image_place(taking.root)
    place = min(place, file.size) if noted == file.sha256 else 0
    while place < file.size:
        if place // BLOCK_BYTES % NOTED_BLOCKS == 0:
            _note(taking, file, place)
        block = bytearray(b"\xff" * BLOCK_BYTES)
        end = min(BLOCK_BYTES, file.size - place)
        filled = 0
        while filled < end:
            piece = await taking.piece(file.sha256, place + filled, end - filled)
            block[filled : filled + len(piece)] = piece
            filled += len(piece)
        partitions.write(place // BLOCK_BYTES, block)
        place += end
    _note(taking, file, place)


def _note(taking, file: File, place: int) -> None:
    slots.replace(taking.root + progress.IMAGE_PLACE, (file.sha256 + " " + str(place)).encode())
    taking.tell()


async def _hashed(taking, partitions: Partitions, size: int):
    hasher = hashlib.sha256()
    block = bytearray(BLOCK_BYTES)
    for place in range(0, size, BLOCK_BYTES):
        await taking.rest()
        partitions.read(place // BLOCK_BYTES, block)
        hasher.update(memoryview(block)[: size - place])
    return hasher
