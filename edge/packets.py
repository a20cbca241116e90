"""MQTT 3.1.1 control packets, as far as the guard must see them (OASIS mqtt-v3.1.1-os; section numbers in comments).

Pure and strict: whatever the bytes, the only exceptions are MalformedPacket and its kinds. QoS 2 is decoded for PUBLISH
only, so that the guard can refuse it by name.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum

MAX_PACKET = 16 * 1024
"""Bytes of a whole packet, its fixed header included."""


class MalformedPacket(ValueError):
    """The bytes are no packet that a client may send; the connection must be closed (4.8)."""


class PacketTooLarge(MalformedPacket):
    """The fixed header announces more than the limit; the body was not read."""


class UnsupportedProtocol(MalformedPacket):
    """A CONNECT of another protocol level than 4, to be answered with return code 1 (3.1.2.2)."""


class PacketType(IntEnum):
    """Upper four bits of the first byte (2.2.1)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class ConnectCode(IntEnum):
    """Return codes of CONNACK (3.2.2.3)."""

    ACCEPTED = 0
    UNACCEPTABLE_PROTOCOL = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_CREDENTIALS = 4
    NOT_AUTHORISED = 5


SUBSCRIPTION_REFUSED = 0x80


@dataclass(frozen=True, slots=True)
class Will:
    """The message a client asks to have published when its connection is lost."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """A client introduces itself. `keep_alive` is in seconds, 0 for none."""

    client_id: str
    username: str | None
    password: bytes | None = field(repr=False)
    keep_alive: int
    clean_session: bool
    will: Will | None


@dataclass(frozen=True, slots=True)
class Publish:
    """An application message; `packet_id` is None exactly when `qos` is 0."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Topic filters, each with the highest QoS asked for."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Topic filters to be forgotten."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pingreq:
    """Keep-alive."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The client leaves on purpose; its will is void."""


ClientPacket = Connect | Publish | Subscribe | Unsubscribe | Pingreq | Disconnect


class PacketDecoder:
    """Cuts a client's byte stream into packets. Holds at most one packet and the last chunk fed."""

    def __init__(self, limit: int = MAX_PACKET) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Append received bytes; read them with `next_packet` until it returns None before feeding more."""
        self._buffer += data

    def next_packet(self) -> ClientPacket | None:
        """The next complete packet, or None when more bytes are needed.

        Raises MalformedPacket, PacketTooLarge (as soon as the fixed header shows it) or UnsupportedProtocol;
        the stream cannot be read on after that.
        """
        if not self._buffer:
            return None
        decode = _decoder(self._buffer[0])
        size = _fixed_header(self._buffer)
        if size is None:
            return None
        header, remaining = size
        if header + remaining > self._limit:
            raise PacketTooLarge(f"{header + remaining} bytes announced")
        if len(self._buffer) < header + remaining:
            return None
        flags = self._buffer[0] & 0x0F
        body = _Body(bytes(self._buffer[header : header + remaining]))
        del self._buffer[: header + remaining]
        packet = decode(flags, body)
        body.end()
        return packet


def decode_publish(packet: bytes) -> Publish:
    """The PUBLISH in `packet`, which must be whole and alone. Raises MalformedPacket."""
    size = _fixed_header(packet)
    if size is None or packet[0] >> 4 != PacketType.PUBLISH or len(packet) != sum(size):
        raise MalformedPacket("not one whole PUBLISH")
    return _decode_publish(packet[0] & 0x0F, _Body(packet[size[0] :]))


def is_filter(text: str) -> bool:
    """Whether `text` is a well-formed topic filter (4.7.1)."""
    levels = text.split("/")
    if not text or "#" in text[:-1] or (text.endswith("#") and levels[-1] != "#"):
        return False
    return all(level == "+" or "+" not in level for level in levels)


def _fixed_header(data: bytes | bytearray) -> tuple[int, int] | None:
    """(bytes of the fixed header, remaining length), or None when it is not complete yet (2.2.3)."""
    length = 0
    for index, byte in enumerate(data[1:5]):
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise MalformedPacket("remaining length is not in its shortest form")
            return index + 2, length
    if len(data) >= 5:
        raise MalformedPacket("remaining length has more than four bytes")
    return None


class _Body:
    """Reads the bytes after the fixed header from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise MalformedPacket("packet ends early")
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def more(self) -> bool:
        return self._at < len(self._data)

    def end(self) -> None:
        if self.more():
            raise MalformedPacket("bytes after the end of the packet")

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        """A UTF-8 string (1.5.3): no surrogates, no NUL."""
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as error:
            raise MalformedPacket("text is not UTF-8") from error
        if "\0" in text:
            raise MalformedPacket("text contains NUL")
        return text

    def topic(self) -> str:
        topic = self.text()
        if not topic or "+" in topic or "#" in topic:
            raise MalformedPacket("topic is empty or has a wildcard")
        return topic

    def filter(self) -> str:
        text = self.text()
        if not is_filter(text):
            raise MalformedPacket("topic filter is not well-formed")
        return text

    def packet_id(self) -> int:
        number = self.number(2)
        if number == 0:
            raise MalformedPacket("packet id is 0")
        return number


def _decode_connect(_: int, body: _Body) -> Connect:
    if body.text() != "MQTT":
        raise MalformedPacket("protocol name is not MQTT")
    if (level := body.number(1)) != 4:
        raise UnsupportedProtocol(f"protocol level {level}")
    flags = body.number(1)
    _check_connect_flags(flags)
    keep_alive = body.number(2)
    client_id = body.text()
    will = None
    if flags & 0x04:
        will = Will(body.topic(), body.binary(), flags >> 3 & 0x03, bool(flags & 0x20))
    username = body.text() if flags & 0x80 else None
    password = body.binary() if flags & 0x40 else None
    return Connect(client_id, username, password, keep_alive, bool(flags & 0x02), will)


def _check_connect_flags(flags: int) -> None:
    """3.1.2.3 to 3.1.2.9."""
    if flags & 0x01:
        raise MalformedPacket("reserved CONNECT flag is set")
    if not flags & 0x04 and flags & 0x38:
        raise MalformedPacket("will flags without a will")
    if flags & 0x18 == 0x18:
        raise MalformedPacket("will QoS is 3")
    if flags & 0x40 and not flags & 0x80:
        raise MalformedPacket("password without a user name")


def _decode_publish(flags: int, body: _Body) -> Publish:
    qos = flags >> 1 & 0x03
    dup = bool(flags & 0x08)
    if qos == 3 or (qos == 0 and dup):
        raise MalformedPacket("PUBLISH flags are invalid")
    topic = body.topic()
    packet_id = body.packet_id() if qos else None
    return Publish(topic, body.rest(), qos, bool(flags & 0x01), dup, packet_id)


def _decode_subscribe(_: int, body: _Body) -> Subscribe:
    packet_id = body.packet_id()
    filters: list[tuple[str, int]] = []
    while body.more() or not filters:
        text, qos = body.filter(), body.number(1)
        if qos > 2:
            raise MalformedPacket("requested QoS is invalid")
        filters.append((text, qos))
    return Subscribe(packet_id, tuple(filters))


def _decode_unsubscribe(_: int, body: _Body) -> Unsubscribe:
    packet_id = body.packet_id()
    filters = [body.filter()]
    while body.more():
        filters.append(body.filter())
    return Unsubscribe(packet_id, tuple(filters))


Decode = Callable[[int, _Body], ClientPacket]

_DECODERS: dict[int, tuple[int | None, Decode]] = {
    # type: (flags required by 2.2.2, None where they carry meaning; how to read the body)
    PacketType.CONNECT: (0b0000, _decode_connect),
    PacketType.PUBLISH: (None, _decode_publish),
    PacketType.SUBSCRIBE: (0b0010, _decode_subscribe),
    PacketType.UNSUBSCRIBE: (0b0010, _decode_unsubscribe),
    PacketType.PINGREQ: (0b0000, lambda _flags, _body: Pingreq()),
    PacketType.DISCONNECT: (0b0000, lambda _flags, _body: Disconnect()),
}


def _decoder(first_byte: int) -> Decode:
    """How to read a packet that begins with `first_byte`, judged before anything else of it arrives."""
    known = _DECODERS.get(first_byte >> 4)
    if known is None:
        raise MalformedPacket(f"packet type {first_byte >> 4} is never sent to the gateway")
    flags, decode = known
    if flags is not None and flags != first_byte & 0x0F:
        raise MalformedPacket("reserved flags of the fixed header")
    return decode


def connect(client_id: str) -> bytes:
    """A CONNECT with a clean session, no keep-alive, no will and no credentials."""
    return _packet(PacketType.CONNECT, 0, _text("MQTT") + b"\x04\x02\x00\x00" + _text(client_id))


def connack(code: ConnectCode) -> bytes:
    """A CONNACK that never claims a stored session."""
    return _packet(PacketType.CONNACK, 0, bytes((0, code)))


def publish(topic: str, payload: bytes) -> bytes:
    """A PUBLISH of QoS 0, not retained."""
    return _packet(PacketType.PUBLISH, 0, _text(topic) + payload)


def puback(packet_id: int) -> bytes:
    """The acknowledgement of a PUBLISH of QoS 1."""
    return _packet(PacketType.PUBACK, 0, packet_id.to_bytes(2, "big"))


def subscribe(packet_id: int, filters: Iterable[str]) -> bytes:
    """A SUBSCRIBE that asks for QoS 0 on every filter."""
    body = b"".join(_text(text) + b"\0" for text in filters)
    return _packet(PacketType.SUBSCRIBE, 0b0010, packet_id.to_bytes(2, "big") + body)


def suback(packet_id: int, codes: Iterable[int]) -> bytes:
    """One code a filter: the granted QoS, or SUBSCRIPTION_REFUSED."""
    return _packet(PacketType.SUBACK, 0, packet_id.to_bytes(2, "big") + bytes(codes))


def unsubscribe(packet_id: int, filters: Iterable[str]) -> bytes:
    """An UNSUBSCRIBE."""
    return _packet(PacketType.UNSUBSCRIBE, 0b0010, packet_id.to_bytes(2, "big") + b"".join(map(_text, filters)))


def unsuback(packet_id: int) -> bytes:
    """The answer to an UNSUBSCRIBE."""
    return _packet(PacketType.UNSUBACK, 0, packet_id.to_bytes(2, "big"))


PINGRESP = bytes((PacketType.PINGRESP << 4, 0))
DISCONNECT = bytes((PacketType.DISCONNECT << 4, 0))


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _packet(kind: PacketType, flags: int, body: bytes) -> bytes:
    length, header = len(body), bytearray((kind << 4 | flags,))
    while length >= 0x80:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header) + body
