"""Accepts connections for Hypercorn, whose own server closes its listener and what has not asked yet in one go.

Whoever has connected when the listener closes gets to ask, and is answered.
"""

import asyncio
import socket
import ssl
from contextlib import suppress

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.typing import LifespanState
from quart import Quart

from cloud.certificates import Certificate

LATE_SECONDS = 0.2
"""After the listener has closed: for requests that are on their way."""
CANCEL_SECONDS = 1.0


class Listener:
    """One app on one bound socket, which it takes over."""

    def __init__(self, app: Quart, bound: socket.socket, config: Config, certificate: Certificate | None) -> None:
        self._app = ASGIWrapper(app)
        self._bound = bound
        self._config = config
        self._tls: ssl.SSLContext | None = None if certificate is None else certificate.context
        self._context = WorkerContext(None)
        self._state: LifespanState = {}
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, closing: asyncio.Event, grace_seconds: float) -> None:
        """Start the app, serve it until `closing` is set, let what is in progress end, stop the app.

        Raises what the app raised at its start.
        """
        loop = asyncio.get_running_loop()
        lifespan = Lifespan(self._app, self._config, loop, self._state)
        living = loop.create_task(lifespan.handle_lifespan(), name="lifespan")
        await lifespan.wait_for_startup()
        if living.done():
            await living
        try:
            server = await asyncio.start_server(
                self._connected,
                sock=self._bound,
                backlog=self._config.backlog,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else self._config.ssl_handshake_timeout,
            )
            try:
                await closing.wait()
                self._accept_waiting()
            finally:
                server.close()
            await self._end_connections(grace_seconds)
        finally:
            await lifespan.wait_for_shutdown()
            living.cancel()
            await asyncio.wait([living])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  asyncio calls it in one
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        loop = asyncio.get_running_loop()
        with suppress(asyncio.CancelledError):  # by us at the end: asyncio would call it an error nobody looked at
            await TCPServer(self._app, loop, self._config, self._context, self._state, reader, writer)

    def _accept_waiting(self) -> None:
        """Take those whom the kernel has let in and nobody has fetched: closing the listener would reset them."""
        while True:
            try:
                accepted, _ = self._bound.accept()
            except (BlockingIOError, ConnectionError):
                return
            task = asyncio.create_task(self._take(accepted), name="late connection")
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _take(self, accepted: socket.socket) -> None:
        accepted.settimeout(0)
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._connected)
        with suppress(OSError):  # it has left
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, accepted, ssl=self._tls)

    async def _end_connections(self, grace_seconds: float) -> None:
        """Those that ask nothing are closed at once, then all that are left when `grace_seconds` are over."""
        await asyncio.sleep(LATE_SECONDS)
        await self._context.terminated.set()
        _end_pings()
        if self._connections:
            _, late = await asyncio.wait(self._connections, timeout=grace_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=CANCEL_SECONDS)


def _end_pings() -> None:
    """Hypercorn's pings sleep on for a while after their WebSocket has closed, and keep its connection's task."""
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__qualname__", "") == WSStream._send_pings.__qualname__:
            task.cancel()
