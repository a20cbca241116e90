"""Finding the gateway by multicast DNS. A hint only: who the gateway is, TLS alone decides."""

import asyncio

from . import TYPE_CHECKING, const, dns
from .announcer import PORT
from .log import log

if TYPE_CHECKING:
    import socket

    from .clock import Clock
    from .hardware import Hardware

GATEWAYS = "_larder-gw._tcp.local"
_QUERY_AT_MS = const((0, 300, 900))
_GIVE_UP_MS = const(1_500)
_LINGER_MS = const(150)
_POLL_S = const(0.05)
_MAX_FOUND = const(4)
_MAX_DATAGRAM = const(1_500)


async def find_gateways(board: "Hardware", clock: "Clock") -> list:
    """The (address, port) pairs that answer within 1.5 s, or soon after the first: another site's may be among them."""
    try:
        wire = board.open_udp(0)
    except OSError as error:
        log("discovery_unavailable", error=str(error))
        return []
    try:
        return await _ask(wire, clock)
    except OSError as error:
        log("discovery_failed", error=str(error))
        return []
    finally:
        wire.close()


async def _ask(wire: "socket.socket", clock: "Clock") -> list:
    began = clock.ms()
    until = began + _GIVE_UP_MS
    asked = 0
    found: list = []
    while clock.ms() < until and len(found) < _MAX_FOUND:
        if asked < len(_QUERY_AT_MS) and clock.ms() - began >= _QUERY_AT_MS[asked]:
            wire.sendto(dns.query(GATEWAYS), (dns.GROUP, PORT))
            asked += 1
        for gateway in _gateways_in(_receive(wire)):
            if not found:
                until = min(until, clock.ms() + _LINGER_MS)
            if gateway not in found:
                found.append(gateway)
        await asyncio.sleep(_POLL_S)
    return found


def _receive(wire: "socket.socket") -> "bytes | None":
    """The next datagram, if there is one."""
    try:
        return wire.recvfrom(_MAX_DATAGRAM)[0]
    except OSError:
        return None


def _gateways_in(data: "bytes | None") -> list:
    if data is None:
        return []
    try:
        return dns.services(data, GATEWAYS)
    except dns.Malformed as error:
        log("discovery_answer_malformed", error=str(error))
        return []
