# mypy: ignore-errors
"""Sockets that do not block, in front of node's. Datagrams stay on loopback, which is the network's only address."""

import asyncio
import binascii
import errno
import io

import _pc

AF_INET = 2
SOCK_STREAM = 1
SOCK_DGRAM = 2
IPPROTO_IP = 0
IPPROTO_TCP = 6
TCP_NODELAY = 1
SOL_SOCKET = 0xFFF
SO_REUSEADDR = 4
IP_ADD_MEMBERSHIP = 3
_LOOPBACK = "127.0.0.1"
_POLL = 3  # MP_STREAM_POLL of MicroPython's stream protocol, by which `select` asks


class Socket(io.IOBase):
    """`select.poll` takes it: that is MicroPython's own."""

    def __init__(self, family: int = AF_INET, kind: int = SOCK_STREAM, protocol: int = 0) -> None:
        self.number = None
        self._changed = asyncio.Event()

    def setblocking(self, blocks: bool) -> None:
        if blocks:
            raise OSError(errno.EOPNOTSUPP)

    def setsockopt(self, level: int, option: int, value: object) -> None:
        """TCP_NODELAY is always on."""

    def connect(self, address: tuple) -> None:
        self.number = _pc.socket_connect(address[0], address[1], self._changed.set)
        raise OSError(errno.EINPROGRESS)

    def ioctl(self, request: int, argument: int) -> int:
        return _pc.socket_ready(self.number) & (argument | 0x18) if request == _POLL else 0

    def read(self, size: int) -> "bytes | None":
        """None: nothing yet; b"": the other side has closed."""
        data = _pc.socket_read(self.number, size)
        if data is False:
            raise OSError(errno.ECONNRESET)
        return None if data is None else binascii.unhexlify(data)

    def write(self, data: bytes) -> "int | None":
        taken = _pc.socket_write(self.number, str(binascii.hexlify(data), "ascii"))
        if taken is False:
            raise OSError(errno.ECONNRESET)
        return taken

    def adopt(self, number: int) -> None:
        """Be the socket that somebody else has opened to a server here."""
        self.number = number
        _pc.socket_watch(number, self._changed.set)

    async def change(self) -> None:
        """Until there may be something new."""
        self._changed.clear()
        await self._changed.wait()

    def close(self) -> None:
        if self.number is not None:
            _pc.socket_close(self.number)
            self.number = None


class Datagrams:
    def __init__(self) -> None:
        self._number = _pc.datagrams_open(_LOOPBACK)

    def setblocking(self, blocks: bool) -> None:
        if blocks:
            raise OSError(errno.EOPNOTSUPP)

    def setsockopt(self, level: int, option: int, value: object) -> None:
        """SO_REUSEADDR is always on."""
        if option == IP_ADD_MEMBERSHIP:
            group, own = [".".join([str(byte) for byte in part]) for part in (value[:4], value[4:])]
            _pc.datagrams_join(self._number, group, own)

    def bind(self, address: tuple) -> None:
        _pc.datagrams_bind(self._number, address[0], address[1])

    def sendto(self, data: bytes, address: tuple) -> int:
        _pc.datagrams_send(self._number, str(binascii.hexlify(data), "ascii"), address[0], address[1])
        return len(data)

    def recvfrom(self, size: int) -> tuple:
        received = _pc.datagrams_receive(self._number)
        if received is None:
            raise OSError(errno.EAGAIN)
        host, port, data = received.split(" ")
        return binascii.unhexlify(data)[:size], (host, int(port))

    def close(self) -> None:
        _pc.datagrams_close(self._number)


def socket(family: int = AF_INET, kind: int = SOCK_STREAM, protocol: int = 0):
    return Datagrams() if kind == SOCK_DGRAM else Socket()


def getaddrinfo(host: str, port: int, family: int = 0, kind: int = 0) -> list:
    return [(AF_INET, kind or SOCK_STREAM, 0, "", (host, port))]
