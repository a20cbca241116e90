"""A request whose body waits on the line until it is read, where Quart would take in as much as a client sends."""

import asyncio
from typing import cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent
from quart.asgi import ASGIHTTPConnection
from quart.wrappers import Request
from quart.wrappers.request import Body

KEPT_BYTES = 256 * 1024
"""So much of a body is in memory, and at most ten messages of Hypercorn's, of up to 64 KiB each, before it."""


class WaitingBody(Body):
    """Is read piece by piece, never whole."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._room = asyncio.Event()
        self._let_go = False

    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        finally:
            self._room.set()

    def append(self, data: bytes) -> None:
        """Unless nobody wants it any more."""
        if not self._let_go:
            super().append(data)

    def let_go(self) -> None:
        """Nobody reads on."""
        self._let_go = True
        self.clear()
        self._room.set()

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

    What comes then is thrown away: Hypercorn hands pieces over through a short queue, and cannot end an answer while it
    waits at that queue.
    """

    _body: WaitingBody | None = None

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        async def answer(event: ASGISendEvent) -> None:
            if self._body is not None:
                self._body.let_go()
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
