"""A TCP line on loopback to a unix socket, whose connections can fall silent: neither side is told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self


class DeadLine:
    """Forwards to the unix socket `upstream` until `freeze`; connections made later work again."""

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self._upstream = upstream
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def listening(self, credentials: Mapping[str, object]) -> AsyncIterator[Self]:
        """Listen on a free port; `url` is the same database by way of it."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = f"postgresql://{credentials['user']}@127.0.0.1:{port}/{credentials['database']}?sslmode=disable"
        try:
            yield self
        finally:
            server.close()
            self.freeze()
            for writer in self._writers:
                writer.close()
            await asyncio.sleep(0)

    def freeze(self) -> None:
        """From here on no byte passes on the connections that are open now, and none is closed."""
        for pump in self._pumps:
            pump.cancel()
        self._pumps.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._upstream)
        self._writers |= {writer, server_writer}
        for source, sink in ((reader, server_writer), (server_reader, writer)):
            self._pumps.add(asyncio.create_task(_pump(source, sink), name="dead line"))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(16 * 1024):
        sink.write(chunk)
        await sink.drain()
    sink.close()
