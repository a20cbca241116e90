"""The MQTT 3.1.1 packets a device sends and receives, as bytes (OASIS standard mqtt-v3.1.1, section 3)."""

from . import TYPE_CHECKING, const

if TYPE_CHECKING:
    import asyncio

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBACK = 0x90
PINGRESP = 0xD0

PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"
_MAX_BYTES = const(8_192)
"""The largest packet taken. A command is at most 4 KiB and its topic about 100 bytes."""


class Malformed(Exception):
    """The bytes are no packet that a broker may send to this client."""


def publish(topic: str, payload: bytes, packet_id: int = 0) -> bytes:
    """PUBLISH, never retained; at QoS 1 if there is a packet id, else at QoS 0."""
    if packet_id:
        return packet(PUBLISH | 0x02, text(topic) + packet_id.to_bytes(2, "big") + payload)
    return packet(PUBLISH, text(topic) + payload)


def packet(first: int, body: bytes) -> bytes:
    """A whole packet: its first byte, the length, the rest."""
    length = len(body)
    head = bytearray([first])
    while True:
        digit = length & 0x7F
        length >>= 7
        head.append(digit | 0x80 if length else digit)
        if not length:
            return bytes(head) + body


def text(string: str) -> bytes:
    """As it stands in a packet: behind its length."""
    data = string.encode()
    return len(data).to_bytes(2, "big") + data


async def read(reader: "asyncio.StreamReader") -> tuple:
    """The next (first byte, body) of the stream. Raises Malformed, OSError, EOFError."""
    first = (await reader.readexactly(1))[0]
    length = 0
    for place in range(4):
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << (7 * place)
        if digit < 0x80:
            break
    else:
        raise Malformed("length has more than four bytes")
    if length > _MAX_BYTES:
        raise Malformed("packet is too large")
    return (first, await reader.readexactly(length) if length else b"")


def message(first: int, body: bytes) -> tuple:
    """(topic, payload) of a PUBLISH. We subscribe at QoS 0, so nothing else may come."""
    if first & 0x06:
        raise Malformed("PUBLISH above QoS 0")
    size = int.from_bytes(body[:2], "big")
    if len(body) < 2 + size:
        raise Malformed("PUBLISH is too short")
    try:
        return (str(body[2 : 2 + size], "utf-8"), body[2 + size :])
    except ValueError:
        raise Malformed("topic is not UTF-8") from None


def packet_id(body: bytes) -> int:
    """Of a PUBACK or a SUBACK."""
    if len(body) < 2:
        raise Malformed("no packet id")
    return int.from_bytes(body[:2], "big")
