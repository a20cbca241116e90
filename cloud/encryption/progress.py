"""What people see of a rotation: a bar where a terminal is, plain lines elsewhere; and the counts at its end."""

from collections.abc import Sequence
from typing import Protocol

from cloud.encryption.rotation import NOT_ENCRYPTED, KeyUse, Rotated

_WIDTH = 40


class Screen(Protocol):
    """Where it is written: a terminal, a pipe or a file."""

    def isatty(self) -> bool: ...

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...


class Progress:
    """Draws on `stream` how much of `total` is done."""

    def __init__(self, stream: Screen, total: int) -> None:
        self._stream = stream
        self._total = total

    def __call__(self, rotated: Rotated) -> None:
        """After a batch. More may have come than there were at first."""
        total = max(self._total, rotated.seen)
        percent = 100 * rotated.seen // total
        if self._stream.isatty():
            bar = "#" * (_WIDTH * rotated.seen // total)
            self._stream.write(f"\r[{bar:-<{_WIDTH}}] {percent:3} % ({rotated.seen} of {total})")
        else:
            self._stream.write(f"{rotated.seen} of {total} values, {percent} %\n")
        self._stream.flush()

    def end(self) -> None:
        """What is written next has a line of its own."""
        if self._stream.isatty():
            self._stream.write("\n")


def to_do(uses: Sequence[KeyUse], newest: str) -> int:
    """How many values have another key."""
    return sum(use.values for use in uses if use.key != newest)


def lines(uses: Sequence[KeyUse], newest: str, sort: str = "key") -> list[str]:
    """How many values each key has, column by column, and whether the older ones may go. `sort`: what keys they are."""
    told = [f"{use.column.table}.{use.column.column}: {_name(use.key)}: {use.values} values" for use in uses]
    left, total = to_do(uses, newest), sum(use.values for use in uses)
    percent = 100 if not left else 100 * (total - left) // total
    end = f"any other {sort} may be removed" if not left else f"{left} values need other {sort}s: keep those"
    return [*told, f"{percent} % have the newest {sort} {newest}: {end}"]


def _name(key: str) -> str:
    return "not encrypted" if key == NOT_ENCRYPTED else key
