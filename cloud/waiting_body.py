"""A request whose body waits on the line until it is read, where Quart would take in as much as a client sends."""

import asyncio
from typing import cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.asgi import ASGIHTTPConnection
from quart.wrappers import Request
from quart.wrappers.request import Body

KEPT_BYTES = 256 * 1024
"""So much of a body is in memory, and at most ten messages of Hypercorn's, of up to 64 KiB each, before it."""
LINGER_SECONDS = 5.0


class WaitingBody(Body):
    """Is read piece by piece, never whole."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._room = asyncio.Event()

    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        finally:
            self._room.set()

    @property
    def is_complete(self) -> bool:
        """All of it has come."""
        return self._complete.is_set()

    async def has_room(self) -> None:
        """Waits until the reader has taken what is there, if that is much."""
        while len(self._data) >= KEPT_BYTES and not self.is_complete:
            self._room.clear()
            await self._room.wait()


class WaitingRequest(Request):
    """A request with such a body."""

    body_class = WaitingBody


class WaitingConnection(ASGIHTTPConnection):
    """Takes the next piece of a body when there is room for it.

    Hypercorn hands pieces over through a short queue, and cannot close a connection while it waits at that queue: what
    comes after an answer that did not wait for the whole body is thrown away for a while.
    """

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._complete = False
        try:
            await super().__call__(receive, send)
        finally:
            if not self._complete:
                self.app.add_background_task(_discard, receive)

    async def handle_messages(self, asked: Request, receive: ASGIReceiveCallable) -> None:
        """Ends when the client leaves."""
        body = cast("WaitingBody", asked.body)
        while True:
            message = await receive()
            if message["type"] == "http.request":
                body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    self._complete = True
                    body.set_complete()
                await body.has_room()
            elif message["type"] == "http.disconnect":
                self._complete = True
                return


async def _discard(receive: ASGIReceiveCallable) -> None:
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                if message["type"] == "http.request" and not message.get("more_body", False):
                    return
    except TimeoutError:
        return
