"""Fail-points at which something happens to the rest of the world, instead of the end of the program."""

import asyncio
from collections.abc import Callable

from edge.failpoints import Failpoints


class Interruptions(Failpoints):
    """`at` a named place, once, on the event loop: right before whatever the program does there next."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, Callable[[], None]] = {}

    def at(self, name: str, happen: Callable[[], None]) -> None:
        """Have `happen` called when this place is reached."""
        self._waiting[name] = happen

    def hit(self, name: str) -> None:
        """Reached: on the ledger's thread what happens is put before what this thread tells the loop from now on."""
        if (happen := self._waiting.pop(name, None)) is not None:
            self._loop.call_soon_threadsafe(happen)
