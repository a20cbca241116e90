"""The door in front of the broker: the only socket of the gateway that speaks MQTT.

Accepts TLS connections, bounds how many, has each client authenticated before anything else happens, and keeps one live
connection an identity. What is said on a connection is judged in edge/guard_session.py.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import structlog

from edge.access import Identity
from edge.guard_link import GuardLimits, Link
from edge.guard_session import Authenticator, End, GuardSession, Pipe

__all__ = ["Authenticator", "End", "Guard", "GuardLimits", "Pipe"]

log = structlog.get_logger()

OpenPipe = Callable[[Callable[[bytes], None], Callable[[], None]], Coroutine[None, None, Pipe]]


class Guard:
    """Serves MQTT over TLS. `open_pipe` is `EmbeddedBroker.open_pipe`.

    `on_connected(identity, hang_up)` and `on_disconnected(identity, reason)` are called synchronously and strictly in
    turn for an identity: at a take-over the old connection's end comes first. `hang_up(reason)` ends the connection
    soon. Everything the device published on a connection has reached the inbox before its `on_disconnected`. A callback
    that raises ends the program (`watch`).
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        authenticator: Authenticator,
        open_pipe: OpenPipe,
        on_connected: Callable[[Identity, Callable[[str], None]], None],
        on_disconnected: Callable[[Identity, str], None],
        *,
        host: str = "127.0.0.1",
        port: int = 8883,
        limits: GuardLimits | None = None,
    ) -> None:
        self._tls = tls
        self._authenticator = authenticator
        self._open_pipe = open_pipe
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._address = (host, port)
        self._limits = limits or GuardLimits()
        self._refusals = Refusals(self._limits.slowest_refusal)
        self._sessions: dict[GuardSession, asyncio.Task[None]] = {}
        self._live: dict[str, GuardSession] = {}
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None] | None = None

    @property
    def port(self) -> int:
        """The port served, once started."""
        if self._listener is None:
            raise RuntimeError("the guard is not started")
        return int(self._listener.getsockname()[1])

    def use(self, tls: ssl.SSLContext) -> None:
        """Serve a renewed certificate to connections from now on."""
        self._tls = tls

    async def start(self) -> None:
        """Bind and serve. Raises OSError when the address cannot be bound."""
        self._listener = socket.create_server(self._address, backlog=128)
        self._listener.settimeout(0)
        self._broken = asyncio.get_running_loop().create_future()
        self._accepting = asyncio.create_task(self._accept(self._listener), name="guard accepts")

    async def watch(self) -> None:
        """Returns after `stop`; raises what broke the guard before. Run it as a task of the program."""
        if self._accepting is None or self._broken is None:
            raise RuntimeError("the guard is not started")
        done, _ = await asyncio.wait({self._accepting, self._broken}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()

    async def stop(self) -> None:
        """Close the door and all connections, within `stop_within` seconds and one more."""
        if self._accepting is None or self._listener is None or self._broken is None:
            return
        self._accepting.cancel()
        await asyncio.wait({self._accepting})
        self._listener.close()
        self._broken.cancel()
        for session in self._sessions:
            session.end(End.STOPPING)
        for patience in (self._limits.stop_within, 1.0):
            if self._sessions:
                _, late = await asyncio.wait(list(self._sessions.values()), timeout=patience)
                for task in late:
                    log.error("guard_connection_does_not_end", task=task.get_name())
                    task.cancel()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Started inside, stopped after."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def drop(self, device_id: UUID, reason: str) -> None:
        """End every connection of a device, one that is just logging in included, and wait until that is done.

        Revoke its credentials first, or it comes straight back.
        """
        sessions = [session for session in self._sessions if session.client_id == str(device_id)]
        for session in sessions:
            session.end(reason)
        for session in sessions:
            await session.ended.wait()

    async def admit(self, session: GuardSession, client_id: str, username: str, password: bytes) -> Identity | None:
        """See Doorkeeper. Only failures are slowed down, so nobody can lock out another behind the same address."""
        async with asyncio.timeout(self._limits.authenticate_within):
            identity = await self._authenticator.authenticate(client_id, username, password)
        if identity is None:
            await asyncio.sleep(self._refusals.delay(session.address, asyncio.get_running_loop().time()))
        return identity

    async def open_pipe(self, session: GuardSession) -> Pipe:
        """See Doorkeeper. Sessions of an identity form a line: each waits until the one before it is quite gone."""
        older = self._live.get(str(session.client_id))
        self._live[str(session.client_id)] = session
        if older is not None:
            session.predecessor = older
            older.end(End.TAKEN_OVER)
            await older.ended.wait()
        return await self._open_pipe(session.deliver, partial(session.end, End.BROKER_CLOSED))

    def connected(self, session: GuardSession) -> None:
        """See Doorkeeper."""
        if session.identity is not None:
            log.info("device_connected", device_id=session.client_id, address=session.address)
            self._on_connected(session.identity, session.end)

    def disconnected(self, session: GuardSession, reason: str) -> None:
        """See Doorkeeper."""
        if session.identity is not None:
            self._on_disconnected(session.identity, reason)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as error:
                log.error("guard_cannot_accept", error=str(error))
                await asyncio.sleep(0.2)
                continue
            if self._make_room(address[0]):
                self._begin(sock, address[0])
            else:
                sock.close()
            await asyncio.sleep(0)

    def _make_room(self, address: str) -> bool:
        """Whether one more connection from `address` may come in.

        At a limit for the address or for clients that have not logged in, the oldest of those that has not logged in
        gives way: an honest login takes milliseconds, so an attacker who holds all places keeps none for long.
        """
        if len(self._sessions) >= self._limits.connections:
            log.warning("connection_refused", address=address, reason="too many connections")
            return False
        lasting = [session for session in self._sessions if not session.ending]
        here = [session for session in lasting if session.address == address]
        waiting = [session for session in lasting if session.identity is None]
        if len(here) >= self._limits.connections_per_address:
            waiting = [session for session in here if session.identity is None]
        elif len(waiting) < self._limits.connections_unauthenticated:
            return True
        if not waiting:
            log.warning("connection_refused", address=address, reason="too many connections from this address")
            return False
        waiting[0].end(End.GAVE_WAY)
        return True

    def _begin(self, sock: socket.socket, address: str) -> None:
        session = GuardSession(Link(sock, self._tls, self._limits), address, self._limits, self)
        task = asyncio.create_task(session.run(), name=f"guard serves {address}")
        self._sessions[session] = task
        task.add_done_callback(partial(self._done, session))

    def _done(self, session: GuardSession, task: asyncio.Task[None]) -> None:
        del self._sessions[session]
        if self._live.get(str(session.client_id)) is session:
            del self._live[str(session.client_id)]
        error = None if task.cancelled() else task.exception()
        if error is not None and self._broken is not None and not self._broken.done():
            self._broken.set_exception(error)


class Refusals:
    """How long the answer to a failed login is held back, by address. Forgets after a minute; knows 1,024 at most."""

    FIRST = 0.25
    MEMORY = 60.0
    ADDRESSES = 1024

    def __init__(self, slowest: float) -> None:
        self._slowest = slowest
        self._failures: dict[str, tuple[int, float]] = {}

    def delay(self, address: str, now: float) -> float:
        """Note a failure at `now` (monotonic seconds); returns the seconds to hold back its answer."""
        count, last = self._failures.pop(address, (0, now))
        count = count + 1 if now - last < self.MEMORY else 1
        self._failures[address] = (count, now)
        if len(self._failures) > self.ADDRESSES:
            del self._failures[next(iter(self._failures))]
        return float(min(self.FIRST * 2 ** min(count - 1, 30), self._slowest))
