"""A TCP proxy on loopback that breaks connections in the ways the internet does. Its dice are seeded."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

CHUNK = 16 * 1024
MAX_RECORDED = 1024 * 1024


class Trouble(StrEnum):
    """What happens to one connection."""

    NONE = "none"
    CUT_REQUEST = "cut_request"
    """Reset after a random number of bytes towards the server."""
    LOSE_REPLY = "lose_reply"
    """The server gets the whole request and does its work; the client gets a reset instead of the reply."""
    REPEAT = "repeat"
    """Everything the client sent reaches the server a second time, on another connection."""
    STALL = "stall"
    """The reply comes much too late."""
    HALF_OPEN = "half_open"
    """The line is dead, and neither side is told."""


class FaultProxy:
    """Forwards to the port `upstream`; each connection meets one trouble, drawn by `seed` with these weights."""

    def __init__(self, upstream: int, seed: int, stall_s: float, weights: dict[Trouble, int] | None = None) -> None:
        self.upstream = upstream
        self.met: Counter[Trouble] = Counter()
        self._weights = weights or {trouble: 2 if trouble is Trouble.NONE else 1 for trouble in Trouble}
        self._dice = random.Random(seed)
        self._stall_s = stall_s
        self._running: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listen on a free port, which is yielded."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        trouble = self._dice.choices(list(self._weights), list(self._weights.values()))[0]
        self.met[trouble] += 1
        try:
            await self._forward(trouble, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            writer.close()
            self._running.discard(task)

    async def _forward(self, trouble: Trouble, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        sent = bytearray()
        up = asyncio.create_task(self._up(trouble, reader, server_writer, sent))
        down = asyncio.create_task(self._down(trouble, server_reader, writer))
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            server_writer.close()
        if trouble in {Trouble.CUT_REQUEST, Trouble.LOSE_REPLY}:
            writer.transport.abort()
        if trouble is Trouble.REPEAT:
            await self._again(bytes(sent))

    async def _up(
        self, trouble: Trouble, reader: asyncio.StreamReader, server: asyncio.StreamWriter, sent: bytearray
    ) -> None:
        left = self._dice.randrange(1, 4000) if trouble is Trouble.CUT_REQUEST else None
        while chunk := await reader.read(CHUNK):
            if trouble is Trouble.HALF_OPEN:
                await asyncio.sleep(self._stall_s)
                return
            if left is not None:
                chunk, left = chunk[:left], left - len(chunk)
            server.write(chunk)
            await server.drain()
            if len(sent) < MAX_RECORDED:
                sent += chunk
            if left is not None and left <= 0:
                return

    async def _down(self, trouble: Trouble, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A line that always works would carry everything: even a good one ends after a few replies.
        for _ in range(self._dice.randrange(2, 6)):
            chunk = await server.read(CHUNK)
            if not chunk or trouble is Trouble.LOSE_REPLY:
                return
            if trouble is Trouble.STALL:
                await asyncio.sleep(self._stall_s)
            writer.write(chunk)
            await writer.drain()

    async def _again(self, sent: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        writer.write(sent)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stall_s):
                await reader.read(CHUNK)
        writer.close()
