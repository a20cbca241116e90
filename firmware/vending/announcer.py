"""Being found by multicast DNS: only a hint, for which nothing else waits. dns.py is in RAM only for a telling."""

import asyncio

from . import TYPE_CHECKING, const, rules
from .borrowed import borrow, give_back
from .log import log

if TYPE_CHECKING:
    import socket

    from .errands import Parts

_LABEL = const(b"_larder-dev")
"""A datagram without it asks for no device."""
_ANSWER = const(0x80)
"""Of a message's third byte: it asks nothing."""
PORT = 5353
_LOOK_S = const(0.1)
_ANNOUNCE_EVERY_MS = const(60_000)
ANSWER_GAP_MS = 1_000
"""So long after dns.py was last needed no question is looked at, whoever asks."""
_RETRY_S = const(60)
_MAX_DATAGRAM = const(1_500)


async def announce(parts: "Parts", retry_s: int = _RETRY_S) -> None:
    """Tell the network now and then, and whoever asks, that this device is there: for ever, in each network it joins.

    A module comes from flash slowly, and a coil that turns is looked at every 5 ms: what is asked meanwhile is dropped.
    """
    while True:
        if parts.board.address() is not None and not _motor_may_turn(parts):
            try:
                await _listen(parts)
            except Exception as error:  # noqa: BLE001 - whatever it lacks, RAM too: vends must not die of a hint
                log("announcer_unavailable", error=repr(error))
                await asyncio.sleep(retry_s)
        await asyncio.sleep(_LOOK_S)


def _motor_may_turn(parts: "Parts") -> bool:
    return parts.errands.held > 0 or rules.running(parts.journal.state) is not None


async def _listen(parts: "Parts") -> None:
    try:
        wire = parts.board.open_udp(PORT)
    finally:
        # Should the link connect just now, it keeps what it uses of them, and borrows them anew.
        give_back("radio", "sockets")
    due_ms = deaf_until_ms = 0
    try:
        while True:
            address = parts.board.address()
            if address is None:
                return
            question, now = _question(wire), parts.clock.ms()
            due = now >= due_ms
            if (due or (question is not None and now >= deaf_until_ms)) and not _motor_may_turn(parts):
                deaf_until_ms = now + ANSWER_GAP_MS
                if due:
                    due_ms, question = now + _ANNOUNCE_EVERY_MS, None
                try:
                    borrow("dns").announce(wire, question, parts.settings.device_id, address, PORT)
                finally:
                    give_back("dns")
            await asyncio.sleep(_LOOK_S)
    finally:
        wire.close()


def _question(wire: "socket.socket") -> "bytes | None":
    """The next datagram, if it may ask for devices."""
    try:
        data = wire.recvfrom(_MAX_DATAGRAM)[0]
    except OSError:
        return None
    return data if len(data) > 2 and not data[2] & _ANSWER and _LABEL in data.lower() else None
