"""Finding the gateway by multicast DNS, and being found. A hint only: who the gateway is, TLS alone decides."""

import asyncio

from . import TYPE_CHECKING, const, dns
from .log import log

if TYPE_CHECKING:
    import socket

    from .clock import Clock
    from .hardware import Hardware

GATEWAYS = "_larder-gw._tcp.local"
DEVICES = "_larder-dev._tcp.local"
_GROUP = const("224.0.0.251")
PORT = 5353
_QUERY_AT_MS = const((0, 300, 900))
_GIVE_UP_MS = const(1_500)
_LINGER_MS = const(150)
_POLL_S = const(0.05)
_ANNOUNCE_EVERY_MS = const(60_000)
ANSWER_GAP_MS = 1_000
_RETRY_S = const(60)
_MAX_DATAGRAM = const(1_500)
_MAX_FOUND = const(4)


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
            wire.sendto(dns.query(GATEWAYS), (_GROUP, PORT))
            asked += 1
        for gateway in _gateways_in(_receive(wire)):
            if not found:
                until = min(until, clock.ms() + _LINGER_MS)
            if gateway not in found:
                found.append(gateway)
        await asyncio.sleep(_POLL_S)
    return found


def _gateways_in(data: "bytes | None") -> list:
    if data is None:
        return []
    try:
        return dns.services(data, GATEWAYS)
    except dns.Malformed as error:
        log("discovery_answer_malformed", error=str(error))
        return []


def _receive(wire: "socket.socket") -> "bytes | None":
    try:
        return wire.recvfrom(_MAX_DATAGRAM)[0]
    except OSError:
        return None


class Announcer:
    """Tells the network now and then, and whoever asks, that this device is there."""

    def __init__(self, board: "Hardware", clock: "Clock", device_id: str) -> None:
        self._board = board
        self._clock = clock
        self._device_id = device_id
        self._told_ms: "int | None" = None

    async def run(self) -> None:
        """For ever. Where the port for multicast DNS cannot be had, it is tried again later: it is only a hint."""
        while True:
            try:
                wire = self._board.open_udp(PORT)
            except OSError as error:
                log("announcer_unavailable", error=str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                await self._listen(wire)

    async def _listen(self, wire: "socket.socket") -> None:
        try:
            while True:
                self._tend(wire)
                await asyncio.sleep(2 * _POLL_S)
        finally:
            wire.close()

    def _tend(self, wire: "socket.socket") -> None:
        data = _receive(wire)
        silent_ms = _ANNOUNCE_EVERY_MS if self._told_ms is None else self._clock.ms() - self._told_ms
        address = self._board.address()
        if address is None or silent_ms < (ANSWER_GAP_MS if self._is_asked(data) else _ANNOUNCE_EVERY_MS):
            return
        self._told_ms = self._clock.ms()
        host = "larder-" + self._device_id + ".local"
        instance = self._device_id + "." + DEVICES
        try:
            wire.sendto(dns.announcement(DEVICES, instance, host, address, PORT), (_GROUP, PORT))
        except OSError as error:
            log("announcement_failed", error=str(error))

    def _is_asked(self, data: "bytes | None") -> bool:
        if data is None:
            return False
        try:
            return dns.asks_for(data, DEVICES)
        except dns.Malformed:
            return False
