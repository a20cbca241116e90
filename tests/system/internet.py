"""The internet between gateway and cloud, as a TCP proxy on loopback that can be cut."""

import asyncio

CHUNK = 64 * 1024


class Internet:
    """Forwards the port it listens on to the cloud's. While cut, it refuses everything and drops what was open."""

    def __init__(self, port: int, cloud_port: int) -> None:
        self.port = port
        self._cloud_port = cloud_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def is_up(self) -> bool:
        """Whether it forwards."""
        return self._server is not None

    async def restore(self) -> None:
        """Let traffic through."""
        if self._server is None:
            self._server = await asyncio.start_server(self._begin, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer), name="a connection to the cloud")
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._cloud_port)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_carry(reader, up_writer), name="to the cloud")
                    group.create_task(_carry(up_reader, writer), name="to the gateway")
            finally:
                up_writer.transport.abort()
        except (OSError, ExceptionGroup):
            pass  # a connection that breaks is what an internet is made of
        finally:
            writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
