"""A TLS server that says to an MQTT client whatever a test wants it to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from edge.site_ca import SERVER_NAME, SiteCa

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CONNACK = b"\x20\x02\x00\x00"


async def packet(reader: asyncio.StreamReader) -> bytes:
    """The next short packet of the client, whole."""
    head = await reader.readexactly(2)
    return head + await reader.readexactly(head[1])


@asynccontextmanager
async def hostile_broker(folder: Path, script: Script) -> AsyncIterator[Streams]:
    """Runs `script` on the server's end of one connection; yields the client's end."""
    ca = SiteCa.open(folder)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ca.server_context(datetime.now(UTC)))
    async with server:
        port = server.sockets[0].getsockname()[1]
        context = ssl.create_default_context(cadata=ca.certificate_pem)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=SERVER_NAME)
        try:
            yield reader, writer
        finally:
            # Until 3.11.4, Python's TLS transport cannot be aborted once its connection is gone.
            with suppress(AttributeError):
                writer.transport.abort()
