"""A mail server that takes one mail a connection, or refuses as it is told to. Plain text, on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class SmtpServer:
    """What it was given, and what it answers to RCPT."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    to_recipient: list[str] = field(default_factory=list)
    """Answers to the next recipients; 250 when there are none."""
    connections: set[asyncio.Task[object]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, as far as a sender of plain mail goes."""
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            await self._talk(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 fake\r\n")
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb == "DATA":
                writer.write(b"354 go\r\n")
                self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                writer.write(b"250 taken\r\n")
            elif verb == "RCPT" and self.to_recipient:
                writer.write(self.to_recipient.pop(0).encode() + b"\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")


@asynccontextmanager
async def smtp_server() -> AsyncIterator[SmtpServer]:
    """A running one on a free port."""
    server = SmtpServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
    if server.connections:
        await asyncio.wait(server.connections, timeout=5)
