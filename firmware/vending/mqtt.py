"""An MQTT 3.1.1 client for one connection, used by one task. Every wait has a deadline, every buffer a bound."""

import asyncio

from . import TYPE_CHECKING, const, packets
from .borrowed import borrow
from .log import log, warn

if TYPE_CHECKING:
    from .clock import Clock

PING_EVERY_MS = 5_000
PING_DEADLINE_MS = 5_000
ACKNOWLEDGE_S = 5
_SEND_S = const(5)
_CLOSE_S = const(0.5)
MAX_INBOX = 32


class MqttError(Exception):
    """This connection is of no more use; connect again."""


class Refused(MqttError):
    """The broker does not let this identity in (CONNACK 4 or 5)."""


class MqttClient:
    """One connection over a stream that is already open. It is over at the first MqttError; `close` it then."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: "Clock") -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._changed = asyncio.Event()
        self._woken = False
        self._inbox: list = []
        self._answers: dict = {}
        self._broken: "str | None" = None
        self._packet_id = 0
        self._pinged_ms: "int | None" = None
        self._heard_ms = clock.ms()
        self._reading: "asyncio.Task | None" = None

    async def connect(self, client_id: str, password: str) -> None:
        """Log in; the user name is the client id. Raises Refused, MqttError."""
        self._reading = asyncio.create_task(self._read())
        await borrow("handshake").log_in(self._ask, client_id, password)

    async def subscribe(self, topic: str) -> None:
        """Raises MqttError when the subscription is not granted."""
        await borrow("handshake").subscribe(self._ask, self._next_packet_id(), topic)

    async def publish(self, topic: str, payload: bytes, qos: int = 0) -> None:
        """At QoS 1 it returns when the broker has it. That says nothing about the gateway's ledger."""
        if qos == 0:
            await self._send(packets.publish(topic, payload))
            return
        number = self._next_packet_id()
        await self._ask(packets.publish(topic, payload, number), (packets.PUBACK, number), ACKNOWLEDGE_S)

    async def receive(self, timeout_ms: int) -> "tuple | None":
        """The next (topic, payload); None after `timeout_ms` or a `wake`. Keeps the connection alive meanwhile."""
        deadline = self._clock.ms() + timeout_ms
        while not (self._inbox or self._woken):
            self._raise_if_broken()
            left = min(deadline - self._clock.ms(), await self._tend())
            if left <= 0:
                break
            await self._change(left)
        self._woken = False
        return self._inbox.pop(0) if self._inbox else None

    def wake(self) -> None:
        """Let `receive` return at once: the one task that uses this client has something to send."""
        self._woken = True
        self._changed.set()

    async def close(self) -> None:
        """Say goodbye if possible and free the socket. Raises nothing."""
        if self._reading is not None:
            self._reading.cancel()
        try:
            if self._broken is None:
                self._writer.write(packets.DISCONNECT_PACKET)
        except OSError:
            log("goodbye_unsaid")
        try:
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), _CLOSE_S)
        except (OSError, asyncio.TimeoutError):
            log("close_unfinished")

    async def _tend(self) -> int:
        """Ping when it is time to; the milliseconds until something has to be done again."""
        now = self._clock.ms()
        if self._pinged_ms is not None:
            left = self._pinged_ms + PING_DEADLINE_MS - now
            if left <= 0:
                raise MqttError("ping unanswered")
            return left
        left = self._heard_ms + PING_EVERY_MS - now
        if left > 0:
            return left
        self._pinged_ms = now
        await self._send(packets.PINGREQ_PACKET)
        return PING_DEADLINE_MS

    async def _ask(self, packet: bytes, key: object, seconds: int) -> bytes:
        """Send it; the body of the answer that has this key. Raises MqttError."""
        await self._send(packet)
        deadline = self._clock.ms() + seconds * 1000
        while key not in self._answers:
            self._raise_if_broken()
            left = deadline - self._clock.ms()
            if left <= 0:
                raise MqttError("no answer in time")
            await self._change(left)
        return self._answers.pop(key)

    async def _change(self, timeout_ms: int) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_ms / 1000)
        except asyncio.TimeoutError:
            return
        self._changed.clear()

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise MqttError(self._broken)

    async def _send(self, packet: bytes) -> None:
        self._raise_if_broken()
        try:
            self._writer.write(packet)
            await asyncio.wait_for(self._writer.drain(), _SEND_S)
        except asyncio.TimeoutError:
            raise MqttError("send timed out") from None
        except OSError as error:
            raise MqttError("send failed: " + str(error)) from None

    async def _read(self) -> None:
        try:
            while True:
                first, body = await packets.read(self._reader)
                self._take(first, body)
                self._changed.set()
        except (OSError, EOFError, packets.Malformed, MqttError) as error:
            self._broken = "connection lost: " + (str(error) or "closed by the other side")
            self._changed.set()

    def _take(self, first: int, body: bytes) -> None:
        kind = first & 0xF0
        self._heard_ms = self._clock.ms()
        if kind == packets.PUBLISH:
            self._deliver(first, body)
        elif kind == packets.PINGRESP:
            self._pinged_ms = None
        elif kind == packets.CONNACK:
            self._answers[packets.CONNACK] = body
        elif kind in (packets.PUBACK, packets.SUBACK):
            self._answers[(kind, packets.packet_id(body))] = body
        else:
            raise packets.Malformed("unexpected packet")
        if len(self._answers) > MAX_INBOX:
            raise packets.Malformed("answers to nothing")

    def _deliver(self, first: int, body: bytes) -> None:
        if first & 0x01:
            warn("retained_message_dropped")
            return
        if len(self._inbox) >= MAX_INBOX:
            raise MqttError("inbox full")
        self._inbox.append(packets.message(first, body))

    def _next_packet_id(self) -> int:
        self._packet_id = self._packet_id % 65_535 + 1
        return self._packet_id
