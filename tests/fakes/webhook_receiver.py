"""A receiver of webhooks on loopback: it keeps what comes, and answers as it is told to."""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
SILENCE = b""
"""In place of an answer: nothing, until the sender goes."""


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An answer on the wire."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


@dataclass(frozen=True)
class Received:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """What it tells."""
        return dict(json.loads(self.body))


@dataclass
class WebhookReceiver:
    """What it was sent. `answers` are given first, one each; then all get OK."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: deque[bytes] = field(default_factory=deque)
    names: list[str | None] = field(default_factory=list)
    """By which TLS was begun."""
    connections: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def ids(self) -> list[str]:
        """The messages', as they came."""
        return [received.headers["webhook-id"] for received in self.received]

    @property
    def types(self) -> list[str]:
        """Of the events, as they came."""
        return [received.event["type"] for received in self.received]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection with one request."""
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.received.append(Received(line, headers, body))
            told = self.answers.popleft() if self.answers else OK
            if told == SILENCE:
                await reader.read()
            writer.write(told)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender went: it may
        finally:
            writer.close()
            self.connections.discard(task)


@asynccontextmanager
async def webhook_receiver(context: ssl.SSLContext | None = None) -> AsyncIterator[WebhookReceiver]:
    """A running one on a free port, with TLS if it gets a context."""
    receiver = WebhookReceiver()

    def named(_: object, name: str | None, __: object) -> None:
        receiver.names.append(name)

    if context is not None:
        context.sni_callback = named
    listening = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    receiver.port = listening.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        listening.close()
        if receiver.connections:
            await asyncio.wait(receiver.connections, timeout=5)
