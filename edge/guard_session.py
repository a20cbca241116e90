"""One client's conversation with the guard, from accept to end.

The guard reads and judges every packet. It answers PINGREQ, QoS 1 and refused subscriptions itself; only PUBLISH (as
QoS 0), SUBSCRIBE (as QoS 0) and UNSUBSCRIBE go on into the broker, written anew. A QoS 1 message is acknowledged once
the broker has it: that says no more than "received", the truth is in the acknowledgements of the application.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import NoReturn, Protocol

import structlog

from edge.access import Action, Identity, allowed
from edge.guard_link import GuardLimits, Link, LinkOverflow, LinkStalled
from edge.packets import (
    PINGRESP,
    SUBSCRIPTION_REFUSED,
    ClientPacket,
    Connect,
    ConnectCode,
    Disconnect,
    MalformedPacket,
    PacketDecoder,
    PacketType,
    Pingreq,
    Publish,
    Subscribe,
    Unsubscribe,
    UnsupportedProtocol,
    Will,
    connack,
    decode_publish,
    puback,
    suback,
    unsuback,
)

log = structlog.get_logger()


class End(StrEnum):
    """Why a connection ended, where it is not for a reason given to `Guard.drop`."""

    DISCONNECTED = "disconnected"
    CONNECTION_LOST = "connection_lost"
    CONNECT_LATE = "connect_late"
    MALFORMED = "malformed"
    LOGIN_REFUSED = "login_refused"
    DENIED = "denied"
    SILENT = "silent"
    STALLED = "stalled"
    OVERFLOW = "overflow"
    TAKEN_OVER = "taken_over"
    GAVE_WAY = "gave_way"
    BROKER_CLOSED = "broker_closed"
    FAILED = "failed"
    STOPPING = "stopping"


FLUSHED = frozenset({End.DISCONNECTED, End.LOGIN_REFUSED, End.DENIED, End.STOPPING})
"""Ends after which the client still gets what was sent before."""
WITHOUT_WILL = frozenset({End.DISCONNECTED, End.TAKEN_OVER})
"""MQTT asks for the will at a take-over too, but here it would say "offline" of a device that is online."""


TURN = 16
"""Packets a client may have handled at a stretch before others get their turn."""


class Authenticator(Protocol):
    """Decides who a client is."""

    async def authenticate(self, client_id: str, username: str, password: bytes) -> Identity | None:
        """The identity that these credentials prove, or None. Compare secrets in constant time."""


class Pipe(Protocol):
    """An authenticated client's way through the broker (edge/broker.py)."""

    def publish(self, topic: str, payload: bytes) -> None: ...
    async def room(self) -> None: ...
    def subscribe(self, packet_id: int, filters: list[str]) -> None: ...
    def unsubscribe(self, packet_id: int, filters: list[str]) -> None: ...
    async def close(self) -> None: ...


class Doorkeeper(Protocol):
    """What a session needs of the guard."""

    async def admit(self, session: "GuardSession", client_id: str, username: str, password: bytes) -> Identity | None:
        """Authenticate; a failure is answered late. Raises TimeoutError."""

    async def open_pipe(self, session: "GuardSession") -> Pipe:
        """Take the identity over from an older session, then open the way into the broker."""

    def connected(self, session: "GuardSession") -> None:
        """The session is about to send its CONNACK."""

    def disconnected(self, session: "GuardSession", reason: str) -> None:
        """Called once, after `connected` was."""


class Ended(Exception):
    """Unwinds a session whose conversation is over."""

    def __init__(self, reason: End, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class GuardSession:
    """State of one connection. `ended` is set when the guard has been told and nothing is left but last words."""

    def __init__(self, link: Link, address: str, limits: GuardLimits, doorkeeper: Doorkeeper) -> None:
        self.address = address
        self.client_id: str | None = None
        self.identity: Identity | None = None
        self.predecessor: GuardSession | None = None
        self.ended = asyncio.Event()
        self._link = link
        self._limits = limits
        self._doorkeeper = doorkeeper
        self._decoder = PacketDecoder()
        self._pipe: Pipe | None = None
        self._will: Will | None = None
        self._connected = False
        self._unanswered: dict[int, list[int]] = {}
        self._reason: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def ending(self) -> bool:
        """Whether it has been told to end."""
        return self._reason.done()

    def end(self, reason: str) -> None:
        """End soon; the first reason counts."""
        if not self._reason.done():
            self._reason.set_result(reason)

    def deliver(self, packet: bytes) -> None:
        """What the broker has for the client: passed on if the client may have it."""
        if self.ending:
            return
        match packet[0] >> 4:
            case PacketType.PUBLISH:
                self._deliver_publish(packet)
            case PacketType.SUBACK:
                packet_id = int.from_bytes(packet[2:4], "big")
                granted = iter(packet[4:])
                codes = self._unanswered.pop(packet_id, [])
                merged = [code if code == SUBSCRIPTION_REFUSED else next(granted, code) for code in codes]
                self._send(suback(packet_id, merged))
            case PacketType.UNSUBACK:
                self._unanswered.pop(int.from_bytes(packet[2:4], "big"), None)
                self._send(packet)
            case kind:
                log.error("broker_sent_unexpected_packet", packet_type=kind, client_id=self.client_id)

    async def run(self) -> None:
        """Live from accept to end. Raises only what the guard's callbacks raise."""
        tasks = (
            asyncio.create_task(self._until_end(self._receive), name=f"guard receives from {self.address}"),
            asyncio.create_task(self._until_end(self._link.watch_stall), name=f"guard watches {self.address}"),
        )
        for task in tasks:
            task.add_done_callback(self._task_done)
        try:
            reason = await self._reason
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self.end(End.STOPPING)
            await self._tear_down(self._reason.result())
        log.info("guard_connection_ended", reason=reason, client_id=self.client_id, address=self.address)

    async def _tear_down(self, reason: str) -> None:
        """A client that may hear the last words does so last, as it may take its time: others wait for `ended`."""
        try:
            if reason not in FLUSHED:
                await self._link.close(flush=False)
            await self._leave(reason)
        finally:
            await self._link.close(flush=True)

    async def _leave(self, reason: str) -> None:
        try:
            if self._pipe is not None:
                if self._will is not None and reason not in WITHOUT_WILL:
                    self._pipe.publish(self._will.topic, self._will.payload)
                await self._pipe.close()
            if self.predecessor is not None:
                await self.predecessor.ended.wait()
        finally:
            self.predecessor = None
            try:
                if self._connected:
                    self._doorkeeper.disconnected(self, reason)
            finally:
                self.ended.set()

    async def _until_end(self, work: Callable[[], Awaitable[None]]) -> None:
        """Expected ends are dealt with here: kept by a task, their tracebacks and the task would hold each other."""
        try:
            await work()
        except Ended as ended:
            if ended.detail:
                log.warning("guard_refused", reason=ended.reason, detail=ended.detail, **self._who())
            self.end(ended.reason)
        except LinkStalled:
            log.warning("guard_refused", reason=End.STALLED, detail="the client takes no bytes", **self._who())
            self.end(End.STALLED)
        except OSError:
            self.end(End.CONNECTION_LOST)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("guard_session_failed", exc_info=error, **self._who())
            self.end(End.FAILED)

    def _who(self) -> dict[str, str | None]:
        return {"client_id": self.client_id, "address": self.address}

    async def _receive(self) -> None:
        connect = await self._introduction()
        identity, pipe = await self._log_in(connect)
        silence = silence_limit(connect.keep_alive, self._limits)
        for number in itertools.count(1):
            if number % TURN == 0:
                await asyncio.sleep(0)
            try:
                async with asyncio.timeout(silence):
                    packet = await self._next_packet()
            except TimeoutError as error:
                raise Ended(End.SILENT, f"no packet for {silence} s") from error
            match packet:
                case Publish():
                    await self._publish(packet, identity, pipe)
                case Subscribe():
                    self._subscribe(packet, identity, pipe)
                case Unsubscribe():
                    self._unsubscribe(packet, identity, pipe)
                case Pingreq():
                    self._send(PINGRESP)
                case Disconnect():
                    raise Ended(End.DISCONNECTED)
                case Connect():
                    raise Ended(End.MALFORMED, "a second CONNECT")

    async def _introduction(self) -> Connect:
        try:
            async with asyncio.timeout(self._limits.connect_within):
                await self._link.open()
                packet = await self._next_packet()
        except TimeoutError as error:
            raise Ended(End.CONNECT_LATE, f"no CONNECT within {self._limits.connect_within} s") from error
        if not isinstance(packet, Connect):
            raise Ended(End.MALFORMED, "the first packet is no CONNECT")
        self.client_id = packet.client_id
        return packet

    async def _next_packet(self) -> ClientPacket:
        try:
            while (packet := self._decoder.next_packet()) is None:
                data = await self._link.read()
                if not data:
                    raise Ended(End.CONNECTION_LOST)
                self._decoder.feed(data)
        except UnsupportedProtocol as error:
            self._send(connack(ConnectCode.UNACCEPTABLE_PROTOCOL))
            raise Ended(End.LOGIN_REFUSED, str(error)) from error
        except MalformedPacket as error:
            raise Ended(End.MALFORMED, str(error)) from error
        return packet

    async def _log_in(self, connect: Connect) -> tuple[Identity, Pipe]:
        if connect.username is None or connect.password is None:
            self._refuse(ConnectCode.BAD_CREDENTIALS, "no credentials")
        try:
            identity = await self._doorkeeper.admit(self, connect.client_id, connect.username, connect.password)
        except TimeoutError:
            self._refuse(ConnectCode.SERVER_UNAVAILABLE, "the authenticator did not answer")
        if identity is None:
            self._refuse(ConnectCode.NOT_AUTHORISED, "wrong credentials")
        if connect.client_id != str(identity.device_id):
            self._refuse(ConnectCode.IDENTIFIER_REJECTED, "the client id is not the identity")
        will = connect.will
        if will is not None and not allowed(identity, Action.WILL, will.topic, retain=will.retain):
            self._refuse(ConnectCode.NOT_AUTHORISED, f"will on {will.topic!r}")
        self.identity, self._will = identity, will
        try:
            self._pipe = await self._doorkeeper.open_pipe(self)
        except TimeoutError:
            self._refuse(ConnectCode.SERVER_UNAVAILABLE, "the broker did not answer")
        self._connected = True
        self._doorkeeper.connected(self)
        self._send(connack(ConnectCode.ACCEPTED))
        return identity, self._pipe

    def _refuse(self, code: ConnectCode, detail: str) -> NoReturn:
        self._send(connack(code))
        raise Ended(End.LOGIN_REFUSED, detail)

    async def _publish(self, packet: Publish, identity: Identity, pipe: Pipe) -> None:
        """A refused PUBLISH ends the connection: MQTT 3.1.1 has no other way to say no, and our devices never do it."""
        if packet.qos == 2:
            raise Ended(End.DENIED, "QoS 2")
        if not allowed(identity, Action.PUBLISH, packet.topic, retain=packet.retain):
            raise Ended(End.DENIED, f"publish on {packet.topic[:200]!r}, retain {packet.retain}")
        pipe.publish(packet.topic, packet.payload)
        try:
            await pipe.room()
        except TimeoutError as error:
            raise Ended(End.BROKER_CLOSED, "the broker is stuck") from error
        if packet.packet_id is not None:
            self._send(puback(packet.packet_id))

    def _subscribe(self, packet: Subscribe, identity: Identity, pipe: Pipe) -> None:
        """Refused filters stay here; the rest waits for the broker, so that SUBACK means subscribed."""
        granted = [text for text, _ in packet.filters if allowed(identity, Action.SUBSCRIBE, text)]
        codes = [0 if text in granted else SUBSCRIPTION_REFUSED for text, _ in packet.filters]
        if len(granted) < len(codes):
            log.warning("subscription_refused", filters=[text[:200] for text, _ in packet.filters][:4], **self._who())
        if not granted:
            self._send(suback(packet.packet_id, codes))
            return
        self._await_answer(packet.packet_id, codes)
        pipe.subscribe(packet.packet_id, granted)

    def _unsubscribe(self, packet: Unsubscribe, identity: Identity, pipe: Pipe) -> None:
        own = [text for text in packet.filters if allowed(identity, Action.SUBSCRIBE, text)]
        if not own:
            self._send(unsuback(packet.packet_id))
            return
        self._await_answer(packet.packet_id, [])
        pipe.unsubscribe(packet.packet_id, own)

    def _await_answer(self, packet_id: int, codes: list[int]) -> None:
        if packet_id in self._unanswered or len(self._unanswered) >= self._limits.subscriptions_pending:
            raise Ended(End.MALFORMED, "a packet id is used twice, or too many subscriptions at once")
        self._unanswered[packet_id] = codes

    def _deliver_publish(self, packet: bytes) -> None:
        topic = decode_publish(packet).topic
        if self.identity is not None and allowed(self.identity, Action.RECEIVE, topic):
            self._send(packet)
        else:
            log.error("delivery_refused", topic=topic, **self._who())

    def _send(self, packet: bytes) -> None:
        try:
            self._link.send(packet)
        except LinkOverflow:
            if not self.ending:
                log.warning("guard_refused", reason=End.OVERFLOW, detail="the client does not read", **self._who())
            self.end(End.OVERFLOW)


def silence_limit(keep_alive: int, limits: GuardLimits) -> float:
    """Seconds without a packet after which a client is cut: 1.5 × its keep-alive (3.1.2.10), less a moment to act in.

    Without a keep-alive, or with one above the limit, the limit counts instead. MQTT 3.1.1 lets a server do so.
    """
    capped = keep_alive if 0 < keep_alive <= limits.keep_alive_most else limits.keep_alive_most
    return 1.5 * capped - 0.05
