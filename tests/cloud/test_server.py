"""What Hypercorn waits for, and what it does not wait for."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quart import Quart, Response

from cloud.server import DEAF_MILLISECONDS, MOST_FILES, allow_connections, configure, listen
from tests.fakes.served import on_a_port

HEAD_SECONDS = 0.3


def quiet_app(silence: float) -> Quart:
    app = Quart("quiet")

    async def lines() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(silence)
        yield b"last"

    @app.get("/")
    async def stream() -> Response:
        answer = Response(lines(), mimetype="text/event-stream")
        answer.timeout = None
        return answer

    return app


@asynccontextmanager
async def serving(app: Quart) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the app."""
    async with on_a_port(app, HEAD_SECONDS) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()


async def test_a_stream_outlives_every_deadline_of_a_head() -> None:
    async with serving(quiet_app(3 * HEAD_SECONDS)) as (reader, writer), asyncio.timeout(10):
        writer.write(b"GET / HTTP/1.1\r\nHost: cloud\r\nConnection: close\r\n\r\n")
        assert b"last" in await reader.read()


async def test_half_a_head_is_not_waited_for() -> None:
    async with serving(quiet_app(0)) as (reader, writer), asyncio.timeout(10):
        writer.write(b"GET / HTTP/1.1\r\nHost: cloud\r\n")
        assert await reader.read() == b""


def test_nothing_cuts_off_a_listener_but_its_silence_on_the_wire() -> None:
    """The stream above ends sooner than any read timeout that one might choose."""
    bound = listen("127.0.0.1", 0)
    with socket.create_connection(bound.getsockname()), bound.accept()[0] as taken:
        assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DEAF_MILLISECONDS
    bound.close()
    assert configure().read_timeout is None


def test_as_many_connections_are_allowed_as_the_machine_does() -> None:
    before, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, allowed))
    try:
        allow_connections()
        now = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert now == (MOST_FILES if allowed == resource.RLIM_INFINITY else min(allowed, MOST_FILES), allowed)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, allowed))
