"""Server-sent events: the same resource again whenever it has changed, until it is final or the gateway stops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from weakref import WeakSet

from quart import Response

from edge.kiosk.problems import Invalid
from edge.watch import Watch
from shared.contract import Message
from shared.errors import Code

KEEP_ALIVE_S = 15.0
"""A comment at least this often shows each side that the other is there; the resource is read anew, too."""

MAX_STREAMS = 64
STOPPING_KEY = "kiosk.stopping"
KEEP_ALIVE = b": here\n\n"


class _Seat:
    """One of MAX_STREAMS. It is given back at the latest when nobody holds the stream any more."""


class Streams:
    """All open streams of the kiosk."""

    def __init__(self, watch: Watch, keep_alive_s: float = KEEP_ALIVE_S, limit: int = MAX_STREAMS) -> None:
        self._watch = watch
        self._keep_alive_s = keep_alive_s
        self._limit = limit
        self._stopping = False
        self._taken: WeakSet[_Seat] = WeakSet()

    @property
    def open(self) -> int:
        """How many there are, with those that have yet to send their first line."""
        return len(self._taken)

    def stop(self) -> None:
        """End all streams, and let none begin."""
        self._stopping = True
        self._watch.touch([STOPPING_KEY])

    def follow(
        self,
        name: str,
        keys: tuple[str, ...],
        read: Callable[[], Awaitable[Message]],
        is_final: Callable[[Message], bool] = lambda _: False,
    ) -> Response:
        """A response that sends `read()` as event `name`, at once and after each touch of `keys` that changed it.

        Raises Invalid (too_many_requests).
        """
        if self.open >= self._limit:
            raise Invalid(Code.TOO_MANY_REQUESTS, "Too many pages are open on this gateway.")
        seat = _Seat()
        self._taken.add(seat)
        events = self._events(seat, name, keys, read, is_final)
        response = Response(events, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        response.timeout = None
        return response

    async def _events(
        self,
        seat: _Seat,
        name: str,
        keys: tuple[str, ...],
        read: Callable[[], Awaitable[Message]],
        is_final: Callable[[Message], bool],
    ) -> AsyncIterator[bytes]:
        sent = b""
        try:
            with self._watch.on(STOPPING_KEY, *keys) as changed:
                while not self._stopping:
                    changed.clear()
                    message = await read()
                    line = message.to_line()
                    yield KEEP_ALIVE if line == sent else b"event: %b\ndata: %b\n\n" % (name.encode(), line)
                    sent = line
                    if is_final(message):
                        return
                    await self._wait(changed)
        finally:
            self._taken.discard(seat)

    async def _wait(self, changed: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._keep_alive_s):
                await changed.wait()
        except TimeoutError:
            return
