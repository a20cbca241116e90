"""A tiny MQTT 3.1.1 client on a bare socket. Shares no code with the gateway, and can misbehave on purpose."""

import asyncio
import ssl
import struct
from contextlib import suppress
from typing import NamedTuple, Self


class Received(NamedTuple):
    """One packet as it came: type (1 to 14), flags, body."""

    kind: int
    flags: int
    body: bytes

    def message(self) -> tuple[str, bytes]:
        """Topic and payload of a PUBLISH of QoS 0."""
        size = struct.unpack("!H", self.body[:2])[0]
        return self.body[2 : 2 + size].decode(), self.body[2 + size :]


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(data)) + data


def packet(first_byte: int, body: bytes = b"") -> bytes:
    length, size = len(body), b""
    while True:
        length, digit = divmod(length, 128)
        size += bytes([digit | (0x80 if length else 0)])
        if not length:
            return bytes([first_byte]) + size + body


def connect_packet(
    client_id: str,
    username: str | None = None,
    password: bytes | None = None,
    *,
    keep_alive: int = 30,
    level: int = 4,
    clean: bool = True,
    will: tuple[str, bytes] | None = None,
    will_retain: bool = False,
) -> bytes:
    flags = (0x02 if clean else 0) | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    flags |= (0x04 if will else 0) | (0x20 if will_retain else 0)
    body = text("MQTT") + bytes([level, flags]) + struct.pack("!H", keep_alive) + text(client_id)
    for part in will or ():
        body += text(part)
    for credential in (username, password):
        body += text(credential) if credential is not None else b""
    return packet(0x10, body)


def publish_packet(topic: str, payload: bytes, *, qos: int = 0, packet_id: int = 1, retain: bool = False) -> bytes:
    middle = struct.pack("!H", packet_id) if qos else b""
    return packet(0x30 | qos << 1 | retain, text(topic) + middle + payload)


def subscribe_packet(packet_id: int, *filters: str, qos: int = 0) -> bytes:
    return packet(0x82, struct.pack("!H", packet_id) + b"".join(text(item) + bytes([qos]) for item in filters))


def unsubscribe_packet(packet_id: int, *filters: str) -> bytes:
    return packet(0xA2, struct.pack("!H", packet_id) + b"".join(map(text, filters)))


PINGREQ = packet(0xC0)
DISCONNECT = packet(0xE0)


class RawMqtt:
    """One connection. Every wait ends after `patience` seconds with TimeoutError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float) -> None:
        self.reader = reader
        self.writer = writer
        self.patience = patience

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext | None, *, patience: float = 5.0) -> Self:
        """A connection to 127.0.0.1 that has not logged in; without `tls` it is bare TCP."""
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=tls, server_hostname="gateway.larder" if tls else None
            )
        return cls(reader, writer, patience)

    async def log_in(
        self, client_id: str, password: bytes, *, keep_alive: int = 30, will: tuple[str, bytes] | None = None
    ) -> int:
        """Send a CONNECT whose user name is the client id; returns the CONNACK's code."""
        await self.send(connect_packet(client_id, client_id, password, keep_alive=keep_alive, will=will))
        return (await self.receive(2)).body[1]

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(self.patience):
            await self.writer.drain()

    async def receive(self, kind: int | None = None) -> Received:
        """The next packet, which must be of `kind` if given. Raises IncompleteReadError at the end of the stream."""
        async with asyncio.timeout(self.patience):
            first = (await self.reader.readexactly(1))[0]
            length = shift = 0
            while True:
                byte = (await self.reader.readexactly(1))[0]
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            received = Received(first >> 4, first & 0x0F, await self.reader.readexactly(length))
        assert kind is None or received.kind == kind, f"expected packet type {kind}, got {received}"
        return received

    async def subscribe(self, *filters: str, packet_id: int = 1) -> bytes:
        """The codes of the SUBACK."""
        await self.send(subscribe_packet(packet_id, *filters))
        return (await self.receive(9)).body[2:]

    async def ping(self) -> None:
        await self.send(PINGREQ)
        await self.receive(13)

    async def is_closed(self) -> bool:
        """Reads to the end of the stream; False if it has not ended after `patience` seconds."""
        try:
            async with asyncio.timeout(self.patience):
                while await self.reader.read(4096):
                    pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def stop_reading(self) -> None:
        """From now on the kernel's buffers fill up."""
        transport = self.writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()

    async def close(self) -> None:
        # Until 3.11.4, Python's TLS transport cannot be aborted once its connection is gone.
        with suppress(AttributeError):
            self.writer.transport.abort()
        await asyncio.sleep(0)
