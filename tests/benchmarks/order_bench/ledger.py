"""Reads a ledger's write-ahead log from outside: how often its owner has committed, and how many pages that took."""

import struct
from dataclasses import dataclass
from pathlib import Path

HEADER = 32
FRAME_HEADER = 24


@dataclass(frozen=True, slots=True)
class Written:
    """What a -wal holds since it was begun anew; `salts` tell one beginning from another."""

    salts: bytes
    commits: int
    pages: int


def written(wal: Path) -> Written:
    """Count the frames since it was begun anew; one that ends a transaction names the size of the database.

    https://sqlite.org/fileformat2.html#walformat
    """
    data = wal.read_bytes()
    size = struct.unpack_from(">I", data, 8)[0] + FRAME_HEADER
    salts = data[16:24]
    commits = pages = 0
    for at in range(HEADER, len(data) - size + 1, size):
        if data[at + 8 : at + 16] != salts:
            break
        pages += 1
        commits += any(data[at + 4 : at + 8])
    return Written(salts, commits, pages)
