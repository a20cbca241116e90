"""amqtt 0.12.1, embedded: a pipe, not a memory.

Nothing can reach it but a Pipe, which the guard opens for a client that has already proved who it is. What amqtt gets
wrong (section 6 of the design) is kept away from it rather than patched:

- every connection has a session of its own under a name never used again, so there is no session to take over,
- sessions are clean, without a will, without keep-alive, and QoS 0 both ways: the guard answers for the rest,
- what devices publish goes to the gateway alone and is never routed to another client, nor retained,
- what the gateway publishes goes straight to the pipes of those subscribed: nothing waits on that way,
- a Pipe takes only as many messages ahead as amqtt has worked off, and waits for them before it closes.
"""

import asyncio
import itertools
from _collections_abc import dict_items
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from amqtt.adapters import ReaderAdapter, WriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import ApplicationMessage, Session

from edge import packets
from edge.packets import PacketType

log = structlog.get_logger()

WINDOW = 64
"""Messages one client may have inside amqtt."""


class BrokerUnavailable(TimeoutError):
    """amqtt did not do its part in time, or is not running. The same call may work later."""


class BrokerDied(Exception):
    """One of amqtt's own loops ended. The program cannot go on."""


class EmbeddedBroker:
    """Owns the amqtt broker. `on_message(topic, payload)` is called in order for everything clients publish.

    Nothing waits for amqtt longer than `patience` seconds at a time.
    """

    def __init__(self, on_message: Callable[[str, bytes], None], patience: float = 2.0) -> None:
        self._on_message = on_message
        self._patience = patience
        self._amqtt: _Amqtt | None = None
        self._names = itertools.count(1)

    async def start(self) -> None:
        """Start amqtt. Opens no socket."""
        self._amqtt = _Amqtt(_config(self), self._patience)
        await self._amqtt.start()

    async def watch(self) -> None:
        """Returns after `stop`; raises BrokerDied when amqtt's loops end before. Run it as a task of the program."""
        amqtt = self._running()
        await asyncio.wait(amqtt.loops(), return_when=asyncio.FIRST_COMPLETED)
        if self._amqtt is amqtt:
            raise BrokerDied("a loop of amqtt ended")

    async def stop(self) -> None:
        """Close all pipes and stop amqtt, within five times the patience."""
        amqtt = self._running()
        await asyncio.gather(*(pipe.close() for pipe in list(amqtt.pipes.values())))
        self._amqtt = None
        async with asyncio.timeout(self._patience):
            await amqtt.shutdown()

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand a message of QoS 0, not retained, to whoever is subscribed to this very topic. Raises BrokerUnavailable.

        It has reached them when this returns. Filters with wildcards are not looked at: the guard grants none.
        """
        amqtt, packet = self._running(), packets.publish(topic, payload)
        for name in amqtt.subscribers(topic):
            if (pipe := amqtt.pipes.get(name)) is not None:
                pipe.deliver(packet)

    async def open_pipe(self, send: Callable[[bytes], None], on_closed: Callable[[], None]) -> "Pipe":
        """A new client's way in. `send` gets each packet meant for the client; `on_closed` tells that amqtt hung up.

        Raises BrokerUnavailable.
        """
        pipe = Pipe(self._running(), f"pipe-{next(self._names)}", send, on_closed)
        try:
            await pipe.open()
        except BaseException:
            await pipe.close()
            raise
        return pipe

    def delivered(self, name: str, topic: str, payload: bytes) -> None:
        """amqtt has brought a client's message this far."""
        if self._amqtt is not None and (pipe := self._amqtt.pipes.get(name)) is not None:
            pipe.delivered()
        self._on_message(topic, payload)

    def knows(self, name: str | None) -> bool:
        """Whether this session belongs to an open pipe."""
        return self._amqtt is not None and name in self._amqtt.pipes

    def _running(self) -> "_Amqtt":
        if self._amqtt is None:
            raise BrokerUnavailable("the broker is not running")
        return self._amqtt


class Pipe:
    """One authenticated client's session in amqtt. Made by EmbeddedBroker.open_pipe."""

    def __init__(
        self,
        amqtt: "_Amqtt",
        name: str,
        send: Callable[[bytes], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._amqtt = amqtt
        self._name = name
        self._send = send
        self._on_closed = on_closed
        self._reader = _PipeReader()
        self._listening = asyncio.Event()
        self._undelivered = 0
        self._progress = asyncio.Event()
        self._session: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the session and wait until amqtt listens to it. Raises BrokerUnavailable.

        That is some time after its CONNACK, and a DISCONNECT in between would be lost with the session left over. Only
        the loop that must be running answers an UNSUBSCRIBE.
        """
        self._amqtt.pipes[self._name] = self
        self._reader.push(packets.connect(self._name) + packets.unsubscribe(1, ["nothing"]))
        writer = _PipeWriter(self._name, self._receive)
        session = self._amqtt.external_connected(self._reader, writer, "default")
        self._session = asyncio.create_task(session, name=f"amqtt {self._name}")
        self._session.add_done_callback(self._session_done)
        await self._wait_until_listening()

    def publish(self, topic: str, payload: bytes) -> None:
        """Take a message of the client. Call `room` afterwards."""
        self._undelivered += 1
        self._reader.push(packets.publish(topic, payload))

    async def room(self) -> None:
        """Wait until amqtt has worked off enough for the next message. Raises BrokerUnavailable."""
        if self._undelivered >= WINDOW:
            await self._wait_until_fewer_than(WINDOW)

    def subscribe(self, packet_id: int, filters: list[str]) -> None:
        """Subscribe with QoS 0; the answer goes to `send`."""
        self._reader.push(packets.subscribe(packet_id, filters))

    def unsubscribe(self, packet_id: int, filters: list[str]) -> None:
        """The answer goes to `send`."""
        self._reader.push(packets.unsubscribe(packet_id, filters))

    async def close(self) -> None:
        """Let amqtt work off what it has, then end the session without a trace. Takes five patiences at most."""
        if self._amqtt.pipes.get(self._name) is not self or self._session is None:
            return
        try:
            await self._wait_until_listening()
            await self._wait_until_fewer_than(1)
        except BrokerUnavailable:
            self._session.cancel()
        self._reader.push(packets.DISCONNECT)
        self._reader.feed_eof()
        _, late = await asyncio.wait({self._session}, timeout=self._amqtt.patience)
        if late:
            self._session.cancel()
            await asyncio.wait({self._session}, timeout=self._amqtt.patience)
        self._amqtt.pipes.pop(self._name, None)
        await self._amqtt.forget(self._name)

    def deliver(self, packet: bytes) -> None:
        """Pass a PUBLISH of the gateway on, unless the session has ended."""
        if self._session is not None and not self._session.done():
            self._send(packet)

    def delivered(self) -> None:
        """One message fewer on the way."""
        self._undelivered -= 1
        self._progress.set()

    def _session_done(self, session: asyncio.Task[None]) -> None:
        if not session.cancelled() and (error := session.exception()) is not None:
            log.error("amqtt_session_failed", pipe=self._name, exc_info=error)
        self._progress.set()
        self._on_closed()

    async def _wait_until_listening(self) -> None:
        try:
            async with asyncio.timeout(self._amqtt.patience):
                await self._listening.wait()
        except TimeoutError as error:
            raise BrokerUnavailable("amqtt did not accept the session") from error

    async def _wait_until_fewer_than(self, limit: int) -> None:
        try:
            async with asyncio.timeout(self._amqtt.patience):
                while self._undelivered >= limit and self._session and not self._session.done():
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError as error:
            raise BrokerUnavailable(f"{self._undelivered} messages are stuck in amqtt") from error

    def _receive(self, packet: bytes) -> None:
        kind = packet[0] >> 4
        if self._listening.is_set():
            self._send(packet)
        elif kind == PacketType.UNSUBACK:
            self._listening.set()
        elif kind != PacketType.CONNACK or packet[3] != packets.ConnectCode.ACCEPTED:
            log.error("amqtt_refused_session", pipe=self._name, packet=packet.hex())


class GuardedSessions(BaseAuthPlugin):
    """The one plugin: lets in open pipes and nobody else, and passes on what clients publish."""

    @dataclass
    class Config:
        """Given by `_config`."""

        broker: EmbeddedBroker

    config: Config

    async def authenticate(self, *, session: Session) -> bool:
        """The guard has authenticated the client before it opened the pipe."""
        return self.config.broker.knows(session.client_id)

    async def on_broker_message_received(self, *, client_id: str, message: ApplicationMessage) -> None:
        """Called as a task of its own for each message, in order; must not await."""
        self.config.broker.delivered(client_id, message.topic, bytes(message.data))


def _config(broker: EmbeddedBroker) -> BrokerConfig:
    return BrokerConfig(
        listeners={"default": ListenerConfig(type=ListenerType.EXTERNAL)},
        plugins={f"{__name__}.{GuardedSessions.__name__}": {"broker": broker}},
    )


class _Subscriptions(dict[str, list[tuple[Session, int]]]):
    """amqtt iterates its subscriptions over awaits, while others change them: give it a copy to iterate."""

    def __iter__(self) -> Iterator[str]:
        return iter(list(super().__iter__()))

    def items(self) -> "dict_items[str, list[tuple[Session, int]]]":
        return {topic: list(sessions) for topic, sessions in super().items()}.items()


class _Amqtt(Broker):
    """amqtt's broker without its way from client to client, and with its inside where it must be reached."""

    def __init__(self, config: BrokerConfig, patience: float) -> None:
        super().__init__(config)
        self.patience = patience
        self.pipes: dict[str, Pipe] = {}
        self._subscriptions = _Subscriptions()

    def loops(self) -> list[asyncio.Task[Any]]:
        """Its own tasks: when one of them ends, it is broken."""
        return [task for task in (self._broadcast_task, self._session_monitor_task) if task is not None]

    def subscribers(self, topic: str) -> list[str]:
        """The client ids of the sessions subscribed to this topic by its own name."""
        return [session.client_id for session, _ in self._subscriptions.get(topic, []) if session.client_id is not None]

    async def forget(self, client_id: str) -> None:
        """Leave nothing of a session that has ended."""
        try:
            async with asyncio.timeout(self.patience):
                await self._cleanup_session(client_id)
        except TimeoutError:
            log.error("amqtt_session_stuck", pipe=client_id)

    async def _broadcast_message(
        self, session: Session | None, topic: str | None, data: bytes | bytearray | None, force_qos: int | None = None
    ) -> None:
        """Broadcast nothing: the gateway is the only reader of clients' messages, and gets them by the plugin."""


class _PipeReader(ReaderAdapter):
    """What amqtt reads. `push` never waits; the Pipe's window bounds it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._more = asyncio.Event()
        self._ended = False

    def push(self, data: bytes) -> None:
        self._buffer += data
        self._more.set()

    def feed_eof(self) -> None:
        self._ended = True
        self._more.set()

    async def read(self, n: int = -1) -> bytes:
        """`n` bytes, or fewer at the end."""
        while len(self._buffer) < n and not self._ended:
            self._more.clear()
            await self._more.wait()
        data = bytes(self._buffer[:n])
        del self._buffer[:n]
        return data


class _PipeWriter(WriterAdapter):
    """What amqtt writes: one whole packet a call. Never blocks; the guard bounds what leaves."""

    def __init__(self, name: str, receive: Callable[[bytes], None]) -> None:
        self._name = name
        self._receive = receive
        self._closed = False

    def write(self, data: bytes) -> None:
        if not self._closed:
            self._receive(data)

    async def drain(self) -> None:
        """Nothing to wait for."""

    def get_peer_info(self) -> tuple[str, int]:
        return self._name, 0

    def get_ssl_info(self) -> None:
        return None

    async def close(self) -> None:
        self._closed = True
