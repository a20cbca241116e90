"""The set-up page's little web server: what it takes, and where it ends."""

import asyncio

import pytest

from firmware.vending import setup_http
from firmware.vending.setup_http import Answer, BadRequest, Counter, Request, read_request


async def request(data: bytes) -> Request:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    async with asyncio.timeout(5):
        return await read_request(reader)


async def test_a_request_is_read_with_its_body() -> None:
    read = await request(
        b"POST /settings?x=1 HTTP/1.1\r\nHOST: 192.168.4.1\r\nContent-Length: 5\r\n\r\nhello, and more"
    )
    assert read == Request("POST", "/settings", "192.168.4.1", b"hello")
    assert await request(b"GET / HTTP/1.0\r\n\r\n") == Request("GET", "/", "", b"")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET / SPDY\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno field\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + 5000 * b"x" + b" HTTP/1.1\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
        ("POST / HTTP/1.1\r\nContent-Length: ²\r\n\r\n".encode(), 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 32769\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", 411),
    ],
)
async def test_what_it_does_not_take(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        await request(data)
    assert refused.value.status == status


async def test_a_request_that_ends_in_the_middle_is_none() -> None:
    for data in (b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhal"):
        with pytest.raises(EOFError):
            await request(data)


async def test_no_head_is_read_for_ever() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"GET / HTTP/1.1\r\n" + 10_000 * b"a: b\r\n")
    with pytest.raises(BadRequest):
        await read_request(reader)


async def test_only_so_many_visitors_at_once_and_each_is_answered() -> None:
    body = bytes(range(256)) * 40
    server = await asyncio.start_server(Counter(lambda _: Answer(200, ("X-A: b",), body)).serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    visitors = [await asyncio.open_connection("127.0.0.1", port) for _ in range(setup_http.MAX_CONNECTIONS)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        late, late_writer = await asyncio.open_connection("127.0.0.1", port)
        assert await late.read() == b""
        late_writer.close()
        for reader, writer in visitors:
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            told = await reader.read()
            assert told.startswith(b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 10240\r\n")
            assert told.endswith(b"\r\n\r\n" + body)
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        server.close()
        await server.wait_closed()


async def test_a_visitor_who_says_nothing_is_sent_away() -> None:
    server = await asyncio.start_server(Counter(lambda _: Answer(200, (), b""), 0.05).serve, "127.0.0.1", 0)
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(b"GET / HT")
        assert await reader.read() == b""
    writer.close()
    server.close()
    await server.wait_closed()
