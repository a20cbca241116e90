"""An HTTP server on loopback that answers connections by a script, one entry each, and then closes them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class ScriptedServer:
    """Where it listens, and the heads of the requests that came."""

    url: str = ""
    heads: list[str] = field(default_factory=list)


def answer(status: str, body: bytes = b"", length: int | None = None, **headers: str) -> bytes:
    """An answer as it goes over the line; `length` may promise more than comes."""
    told = {"Content-Length": str(len(body) if length is None else length), "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


@asynccontextmanager
async def scripted(script: Sequence[bytes]) -> AsyncIterator[ScriptedServer]:
    """Answers connection after connection; an empty answer cuts the line."""
    server, entries = ScriptedServer(), iter(script)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(_next(entries))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    server.url = f"http://{host}:{port}"
    async with listening:
        yield server


def _next(entries: Iterator[bytes]) -> bytes:
    return next(entries, answer("500 The script has ended"))
