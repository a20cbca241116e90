"""Flash in memory that knows what a power cut in the middle of a write would have left."""

from collections.abc import Iterator
from typing import NamedTuple

from firmware.vending.flash import Flash


class Write(NamedTuple):
    """`files` were there before; of the file `name` the bytes `kept` stayed, and `data` came behind them."""

    files: dict[str, bytes]
    name: str
    kept: bytes
    data: bytes

    def cuts(self) -> Iterator[dict[str, bytes]]:
        """The files as a cut leaves them: before the write, and after each number of its bytes but the last."""
        yield self.files
        for size in range(len(self.data)):
            yield self.files | {self.name: self.kept + self.data[:size]}


class MemoryFlash(Flash):
    """`files` by name; `full` makes it take no more."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        super().__init__("")
        self.files = dict(files or {})
        self.writes: list[Write] = []
        self.full = False

    def has(self, name: str) -> bool:
        return name in self.files

    def remove(self, name: str) -> None:
        self._note_step(name)
        self.files.pop(name, None)

    def rename(self, name: str, to: str) -> None:
        self._note_step(to)
        self.files[to] = self.files.pop(name)

    def read(self, name: str) -> bytes:
        return self.files.get(name, b"")

    def read_end(self, name: str, size: int) -> bytes:
        return self.files[name][-size:]

    def append(self, name: str, data: bytes) -> None:
        self._store(name, self.files.get(name, b""), data)

    def replace(self, name: str, data: bytes) -> None:
        self._store(name, b"", data)

    def free_bytes(self) -> int:
        return 0 if self.full else 10**6

    def _note_step(self, name: str) -> None:
        """What happens at once or not at all: a cut may come before it."""
        self.writes.append(Write(dict(self.files), name, b"", b""))

    def _store(self, name: str, kept: bytes, data: bytes) -> None:
        if self.full:
            raise OSError(28, "no space left")
        self.writes.append(Write(dict(self.files), name, kept, data))
        self.files[name] = kept + data
