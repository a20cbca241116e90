"""A TCP connection made without blocking, which MicroPython's asyncio keeps to itself, and whom TLS believes there."""

import asyncio
import errno
import select
import socket
import ssl

from . import SettingsError, const

SERVER_NAME = "gateway.larder"
"""Whoever has it from the site's own CA is the site's gateway, at whatever address."""
_LOOK_S = const(0.02)


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
        await asyncio.sleep(_LOOK_S)
        events = poller.poll(0)
    if events[0][1] & (select.POLLERR | select.POLLHUP):
        raise OSError(errno.ECONNREFUSED, "not connected")


def site_context(ca_der: bytes) -> ssl.SSLContext:
    """TLS that trusts the site's own CA and nobody else. Raises SettingsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cadata=ca_der)
    except (OSError, ValueError):
        raise SettingsError("ca_pem must be a PEM certificate") from None
    return context
