"""Server-sent events that say "look again": one whenever something of a tenant's orders has moved."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID
from weakref import WeakSet

from cloud.errors import Refused
from cloud.watch import Watch, first_of
from shared.errors import Code

MAX_STREAMS = 256
HEARTBEAT_SECONDS = 15.0
PAUSE_SECONDS = 1.0
"""At most one event in so long: each makes a page ask for all it shows."""


class _Seat:
    """One of MAX_STREAMS. It is given back at the latest when nobody holds the stream any more."""


class Streams:
    """All open streams of this process."""

    def __init__(
        self, watch: Watch, draining: asyncio.Event, *, limit: int = MAX_STREAMS, pause: float = PAUSE_SECONDS
    ) -> None:
        self._watch = watch
        self._draining = draining
        self._limit = limit
        self._pause = pause
        self._taken: WeakSet[_Seat] = WeakSet()

    def follow(self, tenant_id: UUID, holds: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        """The lines of a new stream. It ends when `holds` says no, asked before each wait, or when draining.

        Raises Refused (503).
        """
        if len(self._taken) >= self._limit:
            raise Refused(Code.TOO_MANY_REQUESTS, "Too many pages are open. Try again later.", status=503)
        seat = _Seat()  # taken before the first line is asked for, or a burst would pass
        self._taken.add(seat)
        return self._lines(seat, tenant_id, holds)

    async def _lines(self, seat: _Seat, tenant_id: UUID, holds: Callable[[], Awaitable[bool]]) -> AsyncIterator[bytes]:
        try:
            with self._watch.on("orders", tenant_id) as moved:
                yield b"retry: 2000\n\n"
                while await holds():
                    await first_of(moved, self._draining, seconds=HEARTBEAT_SECONDS)
                    if self._draining.is_set():
                        return
                    has_moved = moved.is_set()
                    moved.clear()  # before the page looks: what moves from here on is told next
                    yield b"event: orders\ndata: moved\n\n" if has_moved else b": still here\n\n"
                    await first_of(self._draining, seconds=self._pause)
        finally:
            self._taken.discard(seat)
