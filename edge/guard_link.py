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


class LinkStalled(Exception):
    """The client has taken no bytes for too long while some waited for it."""


class Link:
    """A socket accepted from a client, over which TLS is spoken once `open` has returned."""

    _READ_AHEAD = 16 * 1024
    _KERNEL_BUFFER = 32 * 1024

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext, limits: GuardLimits) -> None:
        self._socket = sock
        self._tls = tls
        self._limits = limits
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        self._sent = asyncio.Event()
        self._closed = False

    async def open(self) -> None:
        """Shake hands. Raises OSError (ssl.SSLError among them) when that fails; bound it by a timeout."""
        sock, loop = self._socket, asyncio.get_running_loop()
        self._set_options(sock)
        reader = asyncio.StreamReader(limit=self._READ_AHEAD)
        protocol = asyncio.StreamReaderProtocol(reader)
        within = self._limits.connect_within
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, sock, ssl=self._tls, ssl_handshake_timeout=within, ssl_shutdown_timeout=1
            )
        except OSError as error:
            # Frames of asyncio hold this exception, and it holds them: 300 kB that only the collector would free.
            error.__traceback__ = None
            raise ConnectionError(f"TLS: {error}") from None
        transport.set_write_buffer_limits(high=0)
        self._reader, self._writer = reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def _set_options(self, sock: socket.socket) -> None:
        """No Nagle, a small buffer, and a kernel that gives up a peer which is gone or keeps its window shut."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._KERNEL_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            (socket.TCP_NODELAY, 1),
            (socket.TCP_KEEPIDLE, 30),
            (socket.TCP_KEEPINTVL, 10),
            (socket.TCP_KEEPCNT, 3),
            (socket.TCP_USER_TIMEOUT, round(1000 * self._limits.stall)),
        ):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)

    async def read(self) -> bytes:
        """Some bytes, or none at the end. Raises LinkStalled or OSError, but never TimeoutError."""
        try:
            return await self._reader.read(self._READ_AHEAD) if self._reader is not None else b""
        except OSError as error:
            error.__traceback__ = None  # as in `open`
            if isinstance(error, TimeoutError):  # ETIMEDOUT: the kernel waited as long as we would
                raise LinkStalled from None
            raise ConnectionError(str(error)) from None

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
        """Never returns. Raises LinkStalled after `stall` seconds without progress, OSError when the link breaks."""
        while True:
            await self._sent.wait()
            self._sent.clear()
            try:
                async with asyncio.timeout(self._limits.stall):
                    await self._drain()
            except TimeoutError as error:
                raise LinkStalled from error

    async def _drain(self) -> None:
        if self._writer is not None:
            await self._writer.drain()

    async def close(self, *, flush: bool) -> None:
        """End the connection. With `flush`, what waits is sent and TLS says goodbye, for a second at most."""
        if self._closed:
            return
        self._closed = True
        if self._writer is None:
            self._socket.close()
            return
        writer, self._writer, self._reader = self._writer, None, None  # or a cycle keeps their buffers, 300 kB
        with suppress(OSError, TimeoutError):
            if flush:
                async with asyncio.timeout(1):
                    writer.close()
                    await writer.wait_closed()
        # Until 3.11.4, Python's TLS transport cannot be aborted once its connection is gone.
        with suppress(AttributeError):
            writer.transport.abort()
