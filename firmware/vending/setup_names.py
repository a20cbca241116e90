"""Every name is here: DNS on the board's own network, so that a phone which asks for any page is shown this one.

RFC 1035 section 4; only what a phone asks before it opens the page of a network without internet.
"""

import asyncio
import socket

from .log import log

PORT = 53
A, ANY = 1, 255
TTL_S = 1
"""Nobody may remember it: on the next network the names are true again."""
MAX_DATAGRAM = 512
MAX_AT_ONCE = 8
POLL_S = 0.05


def answer(query: bytes, address: str) -> "bytes | None":
    """What to say to a query: `address` for any name, no records of another kind; None for what is no question."""
    if len(query) < 12 or query[2] & 0xF8 or query[4:6] != b"\x00\x01":
        return None
    end = _end_of_name(query)
    if end is None or end + 4 > len(query):
        return None
    wanted = query[end] << 8 | query[end + 1]
    found = wanted in (A, ANY)
    head = query[:2] + b"\x85\x80\x00\x01\x00" + (b"\x01" if found else b"\x00") + bytes(4)
    told = head + query[12 : end + 4]
    if not found:
        return told
    own = bytes([int(part) for part in address.split(".")])
    return told + b"\xc0\x0c\x00\x01\x00\x01" + TTL_S.to_bytes(4, "big") + b"\x00\x04" + own


async def run(wire: socket.socket, address: str) -> None:
    """For ever, over a datagram socket that does not block."""
    while True:
        for _ in range(MAX_AT_ONCE):
            if not _tend(wire, address):
                break
        await asyncio.sleep(POLL_S)


def _tend(wire: socket.socket, address: str) -> bool:
    """Whether there was something to read."""
    try:
        query, asker = wire.recvfrom(MAX_DATAGRAM)
    except OSError:
        return False
    told = answer(query, address)
    if told is not None:
        try:
            wire.sendto(told, asker)
        except OSError as error:
            log("name_unanswered", error=str(error))
    return True


def _end_of_name(query: bytes) -> "int | None":
    """The place behind the name that is asked for; None if there is no such place. A question uses no pointers."""
    place = 12
    while place < len(query) and 0 < query[place] < 64:
        place += 1 + query[place]
    if place >= len(query) or query[place] != 0:
        return None
    return place + 1
