"""One TLS socket of the guard: bounded in memory both ways, never waiting for ever."""

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """Every limit of the guard. Times in seconds, sizes in bytes."""

    connect_within: float = 3.0
    """From accept to a whole CONNECT, the TLS handshake included."""
    authenticate_within: float = 3.0
    """For the authenticator to answer."""
    keep_alive_most: int = 120
    """A keep-alive of 0 (none) or above this counts as this."""
    connections: int = 256
    connections_per_address: int = 16
    connections_unauthenticated: int = 32
    stall: float = 10.0
    """A client that takes no bytes for so long while some wait for it is cut."""
    outbound: int = 256 * 1024
    """Bytes that may wait for a client; more cuts it at once."""
    subscriptions_pending: int = 16
    """SUBSCRIBE and UNSUBSCRIBE packets of a client that may wait for their answer."""
    slowest_refusal: float = 5.0
    """The answer to a failed login is held back 0.25 s, doubled with each further failure of its address up to this."""
    stop_within: float = 4.0


class LinkOverflow(Exception):
    """The client does not read, and too much waits for it."""


class Link:
    """A socket accepted from a client, over which TLS is spoken once `open` has returned."""

    _READ_AHEAD = 16 * 1024
    _WRITE_AHEAD = 32 * 1024
    _KERNEL_BUFFER = 64 * 1024

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext, limits: GuardLimits) -> None:
        self._socket = sock
        self._tls = tls
        self._limits = limits
        self._writer: asyncio.StreamWriter | None = None
        self._reader = asyncio.StreamReader(limit=self._READ_AHEAD)
        self._sent = asyncio.Event()
        self._closed = False

    async def open(self) -> None:
        """Shake hands. Raises OSError (ssl.SSLError among them) when that fails; bound it by a timeout."""
        sock, loop = self._socket, asyncio.get_running_loop()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._KERNEL_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        protocol = asyncio.StreamReaderProtocol(self._reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            sock,
            ssl=self._tls,
            ssl_handshake_timeout=self._limits.connect_within,
            ssl_shutdown_timeout=1,
        )
        transport.set_write_buffer_limits(high=self._WRITE_AHEAD)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)
        if self._closed:
            transport.abort()

    async def read(self) -> bytes:
        """Some bytes, or none at the end. Raises OSError."""
        return await self._reader.read(self._READ_AHEAD)

    def send(self, data: bytes) -> None:
        """Send at once or buffer. Raises LinkOverflow; does nothing on a closed link."""
        if self._closed or self._writer is None:
            return
        transport = self._writer.transport
        if transport.get_write_buffer_size() + len(data) > self._limits.outbound:
            raise LinkOverflow
        transport.write(data)
        if transport.get_write_buffer_size():
            self._sent.set()

    async def watch_stall(self) -> None:
        """Returns only when the client has taken no bytes for `stall` seconds. Raises OSError when the link breaks."""
        with suppress(TimeoutError):
            while True:
                await self._sent.wait()
                self._sent.clear()
                if self._writer is not None:
                    async with asyncio.timeout(self._limits.stall):
                        await self._writer.drain()

    async def close(self, *, flush: bool) -> None:
        """End the connection. With `flush`, what waits is sent and TLS says goodbye, for a second at most."""
        if self._closed:
            return
        self._closed = True
        if self._writer is None:
            self._socket.close()
            return
        with suppress(OSError, TimeoutError):
            if flush:
                async with asyncio.timeout(1):
                    self._writer.close()
                    await self._writer.wait_closed()
        self._writer.transport.abort()
