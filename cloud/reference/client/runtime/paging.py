"""Lists that come page by page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows, and where the next ones begin; None: these were the last."""

    rows: tuple[T, ...]
    next_cursor: str | None


class Pages(Generic[T]):
    """All rows of a list: `for row in …` asks for the next page when it needs it, and begins anew each time."""

    def __init__(self, turn: Callable[[str | None], Page[T]], cursor: str | None) -> None:
        self._turn = turn
        self._cursor = cursor

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.rows

    def pages(self) -> Iterator[Page[T]]:
        """The same, a page at a time: keep `next_cursor` to go on another day."""
        page = self._turn(self._cursor)
        yield page
        while page.next_cursor is not None:
            page = self._turn(page.next_cursor)
            yield page
