"""A whole MQTT site on loopback: site CA, broker, guard and the gateway's own end, with made-up devices."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

from edge.access import Identity, IdentityKind
from edge.broker import EmbeddedBroker, Pipe
from edge.guard import Guard, GuardLimits
from edge.mqtt import Inbox, LocalMqtt, Message
from edge.site_ca import SiteCa
from tests.fakes.raw_mqtt import RawMqtt

MACHINE = UUID("01890000-0000-7000-8000-0000000000ff")
WRONG = b"wrong"


def device_id(number: int) -> UUID:
    return UUID(int=MACHINE.int + (number << 96 | 1))


def topic(number: int, channel: str) -> str:
    return f"larder/v1/{MACHINE}/{device_id(number)}/{channel}"


def token(number: int) -> bytes:
    return f"{number:064x}".encode()


class Logins:
    """Authenticates devices 0 to 999 by `token(number)`, and by "claim:…" as claiming devices. Can be made slow."""

    def __init__(self) -> None:
        self.known = {str(device_id(number)): number for number in range(1000)}
        self.delay = 0.0

    async def authenticate(self, client_id: str, username: str, password: bytes) -> Identity | None:
        await asyncio.sleep(self.delay)
        number = self.known.get(username)
        if number is None:
            return None
        if password == b"claim:code":
            return Identity(IdentityKind.CLAIMING_DEVICE, MACHINE, device_id(number))
        return Identity(IdentityKind.DEVICE, MACHINE, device_id(number)) if password == token(number) else None


class SlowPipes:
    """The broker's pipes, which may be made slow to close."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self.delay = 0.0

    async def open(self, send: Callable[[bytes], None], on_closed: Callable[[], None]) -> "SlowPipe":
        return SlowPipe(await self._broker.open_pipe(send, on_closed), self)


class SlowPipe:
    def __init__(self, pipe: Pipe, pipes: SlowPipes) -> None:
        self._pipe = pipe
        self._pipes = pipes
        self.publish = pipe.publish
        self.room = pipe.room
        self.subscribe = pipe.subscribe
        self.unsubscribe = pipe.unsubscribe

    async def close(self) -> None:
        await asyncio.sleep(self._pipes.delay)
        await self._pipe.close()


@dataclass
class MqttSite:
    guard: Guard
    broker: EmbeddedBroker
    local: LocalMqtt
    inbox: Inbox
    logins: Logins
    pipes: SlowPipes
    client_tls: ssl.SSLContext
    events: list[tuple[str, UUID, str]]
    event_came: asyncio.Event
    clients: list[RawMqtt] = field(default_factory=list)

    async def open(self, *, tls: bool = True, patience: float = 5.0) -> RawMqtt:
        client = await RawMqtt.open(self.guard.port, self.client_tls if tls else None, patience=patience)
        self.clients.append(client)
        return client

    async def device(
        self, number: int, *, keep_alive: int = 30, will: tuple[str, bytes] | None = None, subscribe: bool = True
    ) -> RawMqtt:
        """A device that has logged in and, unless told otherwise, subscribed to its commands."""
        client = await self.open()
        code = await client.log_in(str(device_id(number)), token(number), keep_alive=keep_alive, will=will)
        assert code == 0
        if subscribe:
            assert await client.subscribe(topic(number, "cmd")) == b"\0"
        return client

    async def message(self, patience: float = 5.0) -> Message:
        async with asyncio.timeout(patience):
            return await self.inbox.get()

    async def until(self, count: int, patience: float = 5.0) -> None:
        """Wait for that many connect and disconnect events."""
        async with asyncio.timeout(patience):
            while len(self.events) < count:
                self.event_came.clear()
                await self.event_came.wait()


@asynccontextmanager
async def mqtt_site(
    folder: Path, limits: GuardLimits | None = None, inbox_limit: int = 1024, logins: Logins | None = None
) -> AsyncIterator[MqttSite]:
    ca = SiteCa.open(folder)
    inbox = Inbox(time.monotonic, inbox_limit)
    broker = EmbeddedBroker(inbox.put)
    logins = logins or Logins()
    pipes = SlowPipes(broker)
    events: list[tuple[str, UUID, str]] = []
    event_came = asyncio.Event()

    def note(kind: str, identity: Identity, reason: str) -> None:
        events.append((kind, identity.device_id, reason))
        event_came.set()

    guard = Guard(
        ca.server_context(datetime.now(UTC)),
        logins,
        pipes.open,
        lambda identity, hang_up: note("connected", identity, ""),
        partial(note, "disconnected"),
        port=0,
        limits=limits,
    )
    await broker.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(broker.watch())
        try:
            async with guard.serving():
                group.create_task(guard.watch())
                client_tls = ssl.create_default_context(cadata=ca.certificate_pem)
                local = LocalMqtt(broker.publish, inbox)
                site = MqttSite(guard, broker, local, inbox, logins, pipes, client_tls, events, event_came)
                try:
                    yield site
                finally:
                    for client in site.clients:
                        await client.close()
        finally:
            await broker.stop()
