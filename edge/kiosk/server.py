"""Serves an ASGI application over HTTP/1.1 in this process."""

import asyncio
import logging
import socket

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from quart import Quart

GRACE_S = 1.0
IDLE_S = 60.0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what is accepted here.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(app: Quart, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then give the requests under way a second. Takes the socket over."""
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn")
    config.loglevel = "WARNING"
    config.include_server_header = False
    # A gateway whose clock nobody has set must not tell the time (RFC 9110, 6.6.1).
    config.include_date_header = False
    config.alpn_protocols = ["http/1.1"]
    config.h2_max_concurrent_streams = 1
    config.keep_alive_timeout = IDLE_S
    config.graceful_timeout = GRACE_S
    config.shutdown_timeout = GRACE_S
    serving = asyncio.create_task(hypercorn_serve(app, config, shutdown_trigger=stop.wait), name="http")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        # Hypercorn that is cancelled leaves its socket open; asked to stop, it closes it, within seconds.
        stop.set()
        await serving
        raise
