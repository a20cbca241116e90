"""What the device must never forget, on flash: an append-only file of records (rules.py says which and why).

A record is one line: CRC32 of its JSON as 8 hex digits, a space, the JSON, a line feed. Two files alternate: when the
one in use is full, what still matters goes to the other, under a head ("F", generation, number of records, journal
id). A file counts only if its head and all those records are whole, and of two the higher generation counts; so a power
cut at any byte leaves the old file or the new one. A damaged tail is dropped, and the rest copied to the other file
before anything is added to it.

The id tells a gateway that this is still the journal it knows. It is made where no whole file is found, and made anew
where whole lines are damaged, for what they gave leave to may have happened; with it, what is left is doubted
(recovery.py), in the same file, so that no power cut parts the two; until that is written, an empty line behind what is
left says that something is damaged. A line that was cut short gave no leave. A cut can only shorten: littlefs commits a
file's size with its bytes, so a byte that no line of ours has is not one that was yet to be written, but damage.
"""

import asyncio
import binascii
import json

from . import TYPE_CHECKING, const, rules
from .borrowed import borrow
from .log import alarm, warn
from .nonces import new_uuid

if TYPE_CHECKING:
    from .flash import Flash

FILES = ("journal.0", "journal.1")
MAX_BYTES = 16_384
_RESERVE_BYTES = const(2_048)
"""Kept free in a file and on the flash, so that what was accepted can always be started, observed and ended."""
MAX_CREDITS = 32
REPAIR_S = 10
"""Between two tries to write again after the flash has failed."""


class JournalFailed(Exception):
    """The flash does not take the record: nothing that rests on it may happen."""


class Journal:
    """The journal of one device: `state` is what its records on flash add up to, `id` is no other journal's.

    `append` for what gives leave (accepted, started, tombstone): on flash and read back first, else JournalFailed.
    `note` for what has happened anyway (left home, product seen, done, credit): kept in memory even if flash fails.
    A file that would grow beyond `max_bytes` is left for the other.
    """

    def __init__(self, flash: "Flash", max_bytes: int = MAX_BYTES) -> None:
        self._flash = flash
        self._max_bytes = max_bytes
        self.failed = False
        self.size = 0
        self.state = rules.EMPTY
        self.id = new_uuid()
        self._generation = 0
        self._load()

    def room(self) -> bool:
        """Whether new work may be accepted: the flash works and holds the records of a whole vend."""
        return not self.failed and self._has_room()

    def append(self, record: tuple) -> None:
        """Write, read back, then apply."""
        if self.failed:
            raise JournalFailed("flash has failed")
        after = rules.apply(self.state, record)
        line = encode(record)
        try:
            self._write(line, after)
        except OSError as error:
            self.failed = True
            alarm("journal_failed", kind=record[0], error=str(error))
            raise JournalFailed(str(error)) from None
        self.state = after

    def note(self, record: tuple) -> None:
        """Apply, and write if that can be done. What was only noted is lost with the power."""
        try:
            self.append(record)
        except JournalFailed:
            self.state = rules.apply(self.state, record)

    async def run(self) -> None:
        """For ever, with a gateway or without: repair what has failed."""
        while True:
            await asyncio.sleep(REPAIR_S)
            self.repair()

    def repair(self) -> None:
        """After a failure: try to write all that is known to the other file, unless a motor needs watching."""
        if self.failed and rules.running(self.state) is None and self._has_room():
            try:
                self.compact(self.state)
            except OSError as error:
                alarm("journal_still_failed", error=str(error))
            else:
                self.failed = False
                warn("journal_repaired", generation=self._generation)

    def _has_room(self) -> bool:
        try:
            return self._flash.free_bytes() >= _RESERVE_BYTES + self._max_bytes
        except OSError:
            return False

    def _write(self, line: bytes, after: rules.Journal) -> None:
        if self.size + len(line) > self._max_bytes:
            self.compact(after)
            return
        name = FILES[self._generation % 2]
        self._flash.append(name, line)
        if self._flash.read_end(name, len(line)) != line:
            raise OSError("read back differs")
        self.size += len(line)

    def compact(self, state: rules.Journal) -> None:
        """Write what still matters of `state` to the other file, and go on there. Raises OSError: all is as it was."""
        records = rules.snapshot(state)
        generation = self._generation + 1
        lines = [encode(("F", generation, len(records), self.id))]
        lines.extend([encode(record) for record in records])
        data = b"".join(lines)
        name = FILES[generation % 2]
        self._flash.replace(name, data)
        if self._flash.read(name) != data:
            raise OSError("read back differs")
        self._generation = generation
        self.size = len(data)

    def _load(self) -> None:
        newest, damaged = borrow("remains").read([self._flash.read(name) for name in FILES])
        if newest is not None:
            self._generation, self.size = newest.generation, newest.size
            for record in newest.records:
                self.state = rules.apply(self.state, record)
            if damaged:
                self.state = borrow("recovery").doubt(self.state)
            else:
                self.id = newest.journal_id
            if not newest.torn and not damaged:
                return
            warn("journal_tail_dropped", generation=self._generation, damaged=damaged)
        try:
            if damaged:
                # What is damaged may be the file that is now written over. If that is cut, this line still tells.
                self._flash.append(FILES[self._generation % 2], b"\n")
            self.compact(self.state)
        except OSError as error:
            self.failed = True
            alarm("journal_failed", kind="F", error=str(error))


def encode(record: tuple) -> bytes:
    """A record as its line."""
    body = json.dumps(record).encode()
    return _checksum(body) + body + b"\n"


def decode_line(line: bytes) -> "tuple | None":
    """The record of a line without its end; None if it is not whole."""
    body = line[9:]
    if line[:9] != _checksum(body):
        return None
    return tuple(json.loads(body))


def _checksum(body: bytes) -> bytes:
    return ("%08x " % binascii.crc32(body)).encode()
