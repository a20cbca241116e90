"""A TCP connection made without blocking, which MicroPython's asyncio keeps to itself."""

import asyncio
import errno
import select
import socket

LOOK_S = 0.02


async def connect(wire: socket.socket, address: tuple) -> None:
    """Connect a socket that does not block; returns once it can be written to. Raises OSError."""
    try:
        wire.connect(address)
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            raise
    poller = select.poll()
    poller.register(wire, select.POLLOUT)
    events = poller.poll(0)
    while not events:
        await asyncio.sleep(LOOK_S)
        events = poller.poll(0)
    if events[0][1] & (select.POLLERR | select.POLLHUP):
        raise OSError(errno.ECONNREFUSED, "not connected")
