"""Reading a file in batches, each of one collection and one machine; and which files are read at all."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from typing import BinaryIO

from cloud.lowdb.folder import Folder, NotTaken, Source, pieces_of
from cloud.lowdb.mapping import FOLDER, Collection
from cloud.lowdb.report import FileReport, Report
from cloud.lowdb.rules import Oddity
from cloud.lowdb.scanner import Broken, Found, Other, scan
from cloud.lowdb.values import first, id_text

BATCH = 1000
"""Records, between two statements."""
Tell = Callable[[str, int, int], None]
"""Is told how far it is: the file, bytes read, bytes of it."""


class Reading:
    """The pieces of a file as they are read, to its end; `tell` hears how far it is."""

    def __init__(self, file: BinaryIO, path: str, size: int, tell: Tell) -> None:
        self._pieces = pieces_of(file)
        self._path, self._size, self._tell = path, size, tell
        self._digest, self.read = sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._digest.update(piece)
            self.read += len(piece)
            self._tell(self._path, self.read, self._size)
            yield piece

    def digest(self) -> str:
        """Of all of it, what nobody has read included."""
        for _ in self:
            pass
        return self._digest.hexdigest()


def kinds(source: Source) -> list[str]:
    """The kinds of records in it, in the order in which they are read: orders refer to the inventory."""
    return sorted({one.kind for one in source.collections})


def batches(
    reading: Reading, source: Source, told: FileReport, kind: str
) -> Iterator[tuple[Collection, list[tuple[int, Found]]]]:
    """The records of a kind with their places, by collection, BATCH at a time; an inventory at once."""
    collections = {one.collection: one for one in source.collections}
    held: list[tuple[int, Found]] = []
    places: dict[str, int] = {}
    for found in scan(iter(reading), collections):
        if isinstance(found, Broken):
            told.broken_at, told.broken_because = found.offset, found.why
            told.unread_bytes = told.bytes - found.offset
        elif isinstance(found, Other):
            told.beside[found.key] = found.count
        elif collections[found.collection].kind == kind:
            if held and (_is_full(held, collections) or held[0][1].collection != found.collection):
                yield collections[held[0][1].collection], held
                held = []
            places[found.collection] = places.get(found.collection, 0) + 1
            held.append((places[found.collection], found))
    if held:
        yield collections[held[0][1].collection], held


def _is_full(held: list[tuple[int, Found]], collections: dict[str, Collection]) -> bool:
    return len(held) >= BATCH and collections[held[0][1].collection].kind == "orders"


def by_machine(
    batch: list[tuple[int, Found]], collection: Collection, source: Source, told: FileReport
) -> Iterator[tuple[str, list[tuple[int, Found]]]]:
    """The batch by what the machine is called. A record that names none is told, and stays in the archive."""
    fixed = collection.machine or (None if collection.machine_field else source.machine)
    if fixed is not None:
        yield fixed, batch
        return

    def named(record: tuple[int, Found]) -> str:
        return id_text(first(record[1].value, collection.machine_field))

    for name, records in groupby(sorted(batch, key=named), key=named):
        if FOLDER.fullmatch(name):
            yield name, list(records)
        else:
            for position, _ in records:
                told.without_machine += 1
                told.tell("", position, [Oddity.NO_MACHINE])


def in_order(sources: Sequence[Source], folder: Folder, report: Report) -> Iterator[Source]:
    """The sources that are taken. A leftover is, if it is whole and its file is not, or is gone: then it goes first."""
    leftovers = {_file_of(source): source for source in sources if source.is_leftover}
    for source in (one for one in sources if not one.is_leftover):
        leftover = leftovers.pop(source.path, None)
        if leftover is not None:
            if _why_not := _reason(leftover, source, folder):
                report.left.append({"path": leftover.path, "why": _why_not})
            else:
                yield leftover
        yield source
    for leftover in leftovers.values():
        if is_whole(leftover, folder):
            yield leftover
        else:
            report.left.append({"path": leftover.path, "why": "is a leftover, and broken"})


def _reason(leftover: Source, source: Source, folder: Folder) -> str:
    """Why the leftover is not taken; "" if it is."""
    if is_whole(source, folder):
        return "is a leftover, and its file is whole"
    return "" if is_whole(leftover, folder) else "is a leftover, and broken"


def is_whole(source: Source, folder: Folder) -> bool:
    """Whether it can be read to its end. An empty one is not whole: it was just going to be written."""
    collections = {one.collection: one for one in source.collections}
    read = 0
    try:
        with folder.opened(source.path) as file:
            for found in scan(pieces_of(file), collections):
                read += 1
                if isinstance(found, Broken):
                    return False
            return read > 0 or file.tell() > 0
    except NotTaken:
        return False


def _file_of(leftover: Source) -> str:
    folder, _, name = leftover.path.rpartition("/")
    return f"{folder}/{name[1:-4]}".lstrip("/")
