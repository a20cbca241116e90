"""What was found and done, for people and for programs. No name, number or address of anybody stands in it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

EXAMPLES = 100
"""Of odd records of a file; how many there are is told in any case, and each record keeps what is odd about it."""
Days = dict[tuple[str, str], tuple[int, ...]]
"""By day (UTC) and currency: orders, their totals, money kept, money given back, in minor units."""


@dataclass
class FileReport:
    """What became of one file with records. `unread_bytes` lie behind the place where it breaks."""

    path: str
    sha256: str = ""
    bytes: int = 0
    refused: str = ""
    broken_at: int | None = None
    broken_because: str = ""
    unread_bytes: int = 0
    is_leftover: bool = False
    records: int = 0
    new: int = 0
    unchanged: int = 0
    advanced: int = 0
    conflicts: int = 0
    erased: int = 0
    copies: int = 0
    without_order: int = 0
    without_machine: int = 0
    """Of no machine that can be: in the archive, and nowhere else."""
    beside: dict[str, int] = field(default_factory=dict)
    """What else stands in the file, under which key, and how much: it is in the archive, and nowhere else."""
    odd: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        """Nothing of it was done yet."""
        fresh = FileReport(self.path, self.sha256, self.bytes, is_leftover=self.is_leftover)
        vars(self).update(vars(fresh))

    def count(self, verdict: str, *, is_copy: bool) -> None:
        """One more record: `new`, `unchanged`, `advanced`, `conflicts` or `erased`."""
        self.records += 1
        self.copies += is_copy
        setattr(self, verdict, getattr(self, verdict) + 1)

    def tell(self, legacy_id: str, position: int, odd: Iterable[str]) -> None:
        """Something is odd about a record."""
        told = sorted(odd)
        if told:
            self.odd.update(told)
            if len(self.examples) < EXAMPLES:
                self.examples.append({"id": legacy_id, "position": position, "odd": told})


@dataclass(frozen=True)
class Named:
    """A picture that an item names: in which machine's folder, and of which product."""

    machine: str
    item: str
    file: str
    product_id: UUID | None


@dataclass
class PictureReport:
    """What became of one picture: `shown` of a product, an `orphan`, or kept as it is, because."""

    path: str
    sha256: str = ""
    bytes: int = 0
    outcome: str = ""


@dataclass
class MachineDays:
    """One machine's days in the files, and in the database."""

    files: Days = field(default_factory=dict)
    database: Days = field(default_factory=dict)

    def add(self, day: str, currency: str, *sums: int) -> None:
        """One more record of the files."""
        had = self.files.get((day, currency), (0,) * len(sums))
        self.files[day, currency] = tuple(a + b for a, b in zip(had, sums, strict=True))

    def different(self) -> list[tuple[str, str]]:
        """The days that are not equal."""
        return sorted(day for day in {*self.files, *self.database} if self.files.get(day) != self.database.get(day))


@dataclass
class Report:
    """Of one run."""

    dry_run: bool
    minor_digits: int = 2
    """So many digits of an amount stand behind its point, in the lines for people."""
    files: list[FileReport] = field(default_factory=list)
    pictures: list[PictureReport] = field(default_factory=list)
    dangling: list[dict[str, str]] = field(default_factory=list)
    """Pictures that items name and that are not there."""
    left: list[dict[str, str]] = field(default_factory=list)
    """What lies in the folder and was not taken, and why."""
    days: dict[str, MachineDays] = field(default_factory=dict)
    named: list[Named] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Everything was read, nothing contradicts what is here, and the sums are equal."""
        files = all(not (f.refused or f.broken_because or f.conflicts or f.without_machine) for f in self.files)
        return files and not any(days.different() for days in self.days.values())

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "dry_run": self.dry_run,
            "is_whole": self.is_whole,
            "files": [vars(file) | {"odd": dict(file.odd)} for file in self.files],
            "days": {machine: list(_day_rows(days)) for machine, days in self.days.items()},
            "pictures": [vars(picture) for picture in self.pictures],
            "dangling": self.dangling,
            "left": self.left,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        rows: list[tuple[str, ...]] = [("file", "records", "new", "same", "gone on", "conflict", "odd", "")]
        rows += [
            (f.path, *map(str, (f.records, f.new, f.unchanged, f.advanced, f.conflicts, sum(f.odd.values()))), _word(f))
            for f in self.files
        ]
        yield from _table(rows)
        yield ""
        odd = sum((f.odd for f in self.files), Counter[str]())
        yield from _table([("odd about records", "how many"), *((name, str(n)) for name, n in sorted(odd.items()))])
        yield ""
        yield from _table([*_day_head(), *_day_lines(self.days, self.minor_digits)])
        yield ""
        outcomes = Counter(picture.outcome.split(":")[0] for picture in self.pictures)
        yield f"pictures: {', '.join(f'{n} {word}' for word, n in sorted(outcomes.items())) or 'none'}"
        yield from (f"  missing: {d['picture']}, of item {d['item']} of {d['machine']}" for d in self.dangling)
        yield from (f"left where it is: {one['path']}: {one['why']}" for one in self.left)
        yield self._verdict()

    def _verdict(self) -> str:
        done = "nothing was written: a dry run" if self.dry_run else "written"
        equal = "the files and the database are equal, day by day" if self.is_whole else "LOOK AT THE LINES ABOVE"
        return f"{done}; {equal}"


def _word(file: FileReport) -> str:
    if file.refused:
        return f"NOT TAKEN: {file.refused}"
    beside = "".join(f"; beside it {n} in {key!r}" for key, n in file.beside.items())
    broken = f"BROKEN at byte {file.broken_at}: {file.broken_because}; {file.unread_bytes} bytes unread"
    return (broken if file.broken_because else "whole") + beside


def _day_rows(days: MachineDays) -> Iterator[dict[str, Any]]:
    names = ("orders", "total_minor", "captured_minor", "given_back_minor")
    for day in sorted({*days.files, *days.database}):
        files, database = days.files.get(day), days.database.get(day)
        sides = {
            name: side and dict(zip(names, side, strict=True))
            for name, side in (("files", files), ("database", database))
        }
        yield {"day": day[0], "currency": day[1], "equal": files == database} | sides


def _day_head() -> list[tuple[str, ...]]:
    return [("machine", "currency", "days", "orders", "totals", "kept", "given back", "in the database")]


def _day_lines(machines: dict[str, MachineDays], digits: int) -> Iterator[tuple[str, ...]]:
    for machine, days in sorted(machines.items()):
        for currency in sorted({currency for _, currency in (*days.files, *days.database)}):
            sums = [sums for (_, one), sums in days.files.items() if one == currency]
            totals = [sum(column) for column in zip(*sums, strict=True)] or [0, 0, 0, 0]
            wrong = [day for day, one in days.different() if one == currency]
            word = f"DIFFERENT on {len(wrong)} days, first on {wrong[0]}" if wrong else "equal every day"
            money = (f"{Decimal(total).scaleb(-digits):,.{digits}f}" for total in totals[1:])
            yield (machine, currency, str(len(sums)), str(totals[0]), *money, word)


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Columns of one width; figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            text.rjust(width) if text.replace(",", "").replace(".", "").isdigit() else text.ljust(width)
            for text, width in zip(row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
