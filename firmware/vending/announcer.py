"""Being found by multicast DNS. What a question and an announcement look like (dns.py) is in RAM only for each."""

import asyncio

from . import TYPE_CHECKING, const
from .borrowed import borrow, give_back
from .log import log

if TYPE_CHECKING:
    import socket

    from .clock import Clock
    from .hardware import Hardware

DEVICES = "_larder-dev._tcp.local"
_LABEL = const(b"_larder-dev")
"""A datagram without it asks for no device."""
GROUP = "224.0.0.251"
PORT = 5353
_LOOK_S = const(0.1)
_ANNOUNCE_EVERY_MS = const(60_000)
ANSWER_GAP_MS = 1_000
_RETRY_S = const(60)
_MAX_DATAGRAM = const(1_500)


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
                await asyncio.sleep(_LOOK_S)
        finally:
            wire.close()

    def _tend(self, wire: "socket.socket") -> None:
        data = receive(wire)
        silent_ms = _ANNOUNCE_EVERY_MS if self._told_ms is None else self._clock.ms() - self._told_ms
        address = self._board.address()
        if address is None or silent_ms < (ANSWER_GAP_MS if _is_asked(data) else _ANNOUNCE_EVERY_MS):
            return
        self._told_ms = self._clock.ms()
        host = "larder-" + self._device_id + ".local"
        instance = self._device_id + "." + DEVICES
        announcement = borrow("dns").announcement(DEVICES, instance, host, address, PORT)
        give_back("dns")
        try:
            wire.sendto(announcement, (GROUP, PORT))
        except OSError as error:
            log("announcement_failed", error=str(error))


def receive(wire: "socket.socket") -> "bytes | None":
    """The next datagram, if there is one."""
    try:
        return wire.recvfrom(_MAX_DATAGRAM)[0]
    except OSError:
        return None


def _is_asked(data: "bytes | None") -> bool:
    if data is None or _LABEL not in data.lower():
        return False
    dns = borrow("dns")
    try:
        return dns.asks_for(data, DEVICES)
    except dns.Malformed:
        return False
    finally:
        give_back("dns")
