"""What both boards do over Wi-Fi: join a network, connect under TLS, open a datagram socket."""

import asyncio
import socket
import ssl

import network

from . import TYPE_CHECKING, const
from .sockets import connect

if TYPE_CHECKING:
    from .settings import Wifi

_JOIN_S = const(20)
_MDNS_GROUP = const(b"\xe0\x00\x00\xfb")
ANY = "0.0.0.0"  # noqa: S104 - lwIP gives multicasts to no socket that has an address


async def join(station: network.WLAN, wifi: "Wifi | None") -> None:
    """Be on this network; without one, whatever there is must do. Raises OSError."""
    if station.isconnected() or wifi is None:
        return
    station.connect(wifi.ssid, wifi.password)
    for _ in range(_JOIN_S * 10):
        if station.isconnected():
            return
        await asyncio.sleep(0.1)
    raise OSError("no Wi-Fi")


async def open_stream(host: str, port: int, context: ssl.SSLContext, server_name: str) -> tuple:
    """(reader, writer) over TLS. asyncio.open_connection hides the raw socket, which TCP_NODELAY needs."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    raw = socket.socket(family, kind, protocol)
    try:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await connect(raw, address)
        secured = context.wrap_socket(raw, server_hostname=server_name, do_handshake_on_connect=False)
    except BaseException:
        raw.close()
        raise
    secured.setblocking(False)
    stream = asyncio.StreamReader(secured)
    return stream, stream


def open_udp(station: network.WLAN, port: int) -> socket.socket:
    """A socket that does not block, in the group of multicast DNS unless `port` is 0. Raises OSError."""
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        wire.setblocking(False)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not station.isconnected():
            raise OSError("no network")
        own = station.ifconfig()[0]
        # Bound to its own address, it would not hear the group's.
        wire.bind((ANY if port else own, port))
        if port:
            member = _MDNS_GROUP + bytes([int(part) for part in own.split(".")])
            wire.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    except OSError:
        wire.close()
        raise
    return wire
