"""A body is taken from the line as fast as it is read, and no faster."""

import asyncio

import httpx
from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent, HTTPScope
from quart import Quart, request

from cloud.waiting_body import KEPT_BYTES, WaitingConnection, WaitingRequest
from tests.fakes.served import on_a_port

PIECE = 64 * 1024
SCOPE: HTTPScope = {
    "type": "http",
    "asgi": {},
    "http_version": "1.1",
    "method": "PUT",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [],
    "client": None,
    "server": None,
    "state": {},  # type: ignore[typeddict-item]
    "extensions": {},
}


async def test_a_body_waits_on_the_line_until_it_is_read() -> None:
    app = Quart("waiting")
    app.asgi_http_class, app.request_class = WaitingConnection, WaitingRequest
    go_on, quiet = asyncio.Event(), asyncio.Event()
    pieces, sent = 100, 0
    answers: list[ASGISendEvent] = []

    @app.put("/")
    async def read() -> str:
        await go_on.wait()
        return str(sum([len(piece) async for piece in request.body]))

    async def receive() -> ASGIReceiveEvent:
        nonlocal sent
        if sent == pieces:
            await asyncio.Event().wait()
        sent += 1
        asyncio.get_running_loop().call_later(0.05, quiet.set)
        return {"type": "http.request", "body": bytes(PIECE), "more_body": sent < pieces}

    async def send(event: ASGISendEvent) -> None:
        answers.append(event)

    serving = asyncio.create_task(app.asgi_app(SCOPE, receive, send))
    await quiet.wait()
    assert sent == KEPT_BYTES // PIECE, "the reader has read nothing yet"
    go_on.set()
    await serving
    assert str(pieces * PIECE).encode() in [event.get("body") for event in answers]


async def test_who_is_refused_hears_it_though_they_have_more_to_send() -> None:
    app = Quart("refusing")
    app.asgi_http_class, app.request_class = WaitingConnection, WaitingRequest

    @app.put("/")
    async def refuse() -> tuple[str, int]:
        return "no", 413

    async with on_a_port(app) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(2):
            answer = await client.put("/", content=bytes(16 * 1024 * 1024))
            assert (answer.status_code, answer.text) == (413, "no")
