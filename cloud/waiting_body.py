"""A request whose body waits on the line until it is read, where Quart would take in as much as a client sends."""

import asyncio
from contextlib import suppress
from typing import cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent
from quart.asgi import ASGIHTTPConnection
from quart.wrappers import Request
from quart.wrappers.request import Body

KEPT_BYTES = 256 * 1024
"""So much of a body is in memory, and at most ten messages of Hypercorn's, of up to 64 KiB each, before it."""
LINGER_SECONDS = 5.0
QUIET_SECONDS = 0.3
"""Whoever sends nothing for so long has stopped."""


class WaitingBody(Body):
    """Is read piece by piece, never whole."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._room = asyncio.Event()
        self._came = asyncio.Event()
        self._let_go = False

    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        finally:
            self._room.set()

    @property
    def is_complete(self) -> bool:
        """All of it has come."""
        return self._complete.is_set()

    def append(self, data: bytes) -> None:
        """Unless nobody wants it any more."""
        self._came.set()
        if not self._let_go:
            super().append(data)

    def set_complete(self) -> None:
        """No more comes."""
        super().set_complete()
        self._came.set()

    def let_go(self) -> None:
        """Nobody reads on."""
        self._let_go = True
        self.clear()
        self._room.set()

    async def run_out(self) -> None:
        """Waits until the sender stops, for LINGER_SECONDS at most."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LINGER_SECONDS
        with suppress(TimeoutError):
            while not self.is_complete:
                self._came.clear()
                async with asyncio.timeout_at(min(end, loop.time() + QUIET_SECONDS)):
                    await self._came.wait()

    async def has_room(self) -> None:
        """Waits until the reader has taken what is there, if that is much."""
        while len(self._data) >= KEPT_BYTES:
            self._room.clear()
            await self._room.wait()


class WaitingRequest(Request):
    """A request with such a body."""

    body_class = WaitingBody


class WaitingConnection(ASGIHTTPConnection):
    """Takes the next piece of a body when there is room for it, until the answer begins.

    What comes then is thrown away, and the answer is not over before its sender has stopped: Hypercorn cannot end an
    answer while pieces wait, and a line that is closed while its client sends takes the answer away from them.
    """

    _body: WaitingBody | None = None

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def answer(event: ASGISendEvent) -> None:
            body = self._body
            if body is not None and not body.is_complete:
                body.let_go()
                if event["type"] == "http.response.body" and not event["more_body"]:
                    await send({**event, "more_body": True})
                    await body.run_out()
                    event = {**event, "body": b""}
            await send(event)

        await super().__call__(receive, answer)

    async def handle_messages(self, asked: Request, receive: ASGIReceiveCallable) -> None:
        """Ends when the client leaves."""
        self._body = body = cast("WaitingBody", asked.body)
        while True:
            message = await receive()
            if message["type"] == "http.request":
                body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    body.set_complete()
                await body.has_room()
            elif message["type"] == "http.disconnect":
                return
