"""Files, read as they come."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from .errors import Unreachable


class Download:
    """A file that is asked for by `with`, and read once. It need not fit in memory.

    Reading raises Unreachable when the line breaks or stalls: then what was read is not the whole.
    """

    def __init__(self, start: Callable[[], httpx.Response]) -> None:
        self._start = start
        self._response: httpx.Response | None = None

    def __enter__(self) -> Self:
        self._response = self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._response is not None:
            self._response.close()

    def pieces(self) -> Iterator[bytes]:
        """Its bytes."""
        if self._response is None:
            raise RuntimeError("a download is read inside its `with`")
        try:
            yield from self._response.iter_bytes()
        except httpx.TransportError as error:
            raise Unreachable(f"the file ended early: {error!r}") from error

    def lines(self) -> Iterator[str]:
        """Its lines, without their ends."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from (line.removesuffix(b"\r").decode() for line in whole)
        if rest:
            yield rest.decode()

    def save(self, path: str | os.PathLike[str]) -> int:
        """Writes it to a file, which is there only once it is whole. Its size in bytes."""
        whole = Path(path)
        part, size = whole.with_name(whole.name + ".part"), 0
        with part.open("wb") as file:
            for piece in self.pieces():
                size += file.write(piece)
        part.replace(whole)
        return size
