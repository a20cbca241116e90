"""A WebSocket that keeps one unread message, where Quart would keep all that a client cares to send."""

import asyncio

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, WebsocketScope
from quart import Quart
from quart.asgi import ASGIWebsocketConnection

LINGER_SECONDS = 5.0


class ShortWebsocket(ASGIWebsocketConnection):
    """What is said beyond the one message is thrown away, also for a while after the end.

    Hypercorn hands messages over through a short queue, and cannot close a connection while it waits at that queue.
    """

    def __init__(self, app: Quart, scope: WebsocketScope) -> None:
        super().__init__(app, scope)
        self.queue = _FirstOnly(1)

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        try:
            await super().__call__(receive, send)
        finally:
            self.app.add_background_task(_discard, receive)


class _FirstOnly(asyncio.Queue[str | bytes]):
    async def put(self, item: str | bytes) -> None:
        """Never waits."""
        if not self.full():
            self.put_nowait(item)


async def _discard(receive: ASGIReceiveCallable) -> None:
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while True:
                await receive()
    except TimeoutError:
        return
