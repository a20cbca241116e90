"""Hypercorn in process: one worker, its own deadlines, gone within a second when told to."""

import asyncio
import gc
import signal
import socket

import structlog
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

log = structlog.get_logger()

GRACE_SECONDS = 0.5
HEAD_SECONDS = 75.0
"""How long a connection may stand without a request, or with half the head of one. Bodies have their own deadlines."""
DEAF_MILLISECONDS = 60_000
"""A peer that acknowledges nothing for so long is gone. Doorbells and streams send more often than that."""
_YOUNG_OBJECTS = 10_000
"""After so many new ones garbage is searched for. A batch of facts makes about half as many, and drops them at once."""


def listen(host: str, port: int) -> socket.socket:
    """A bound socket (port 0: a free one). Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAF_MILLISECONDS)  # connections inherit it
    bound.bind((host, port))
    bound.listen(256)
    bound.set_inheritable(True)
    return bound


def url_of(bound: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if bound.family == socket.AF_INET6 else f"http://{host}:{port}"


def configure(bound: socket.socket, head_seconds: float = HEAD_SECONDS) -> Config:
    """Hypercorn's settings; it takes the socket over.

    It has no read timeout: that would cut off every stream whose listener has nothing to say.
    """
    config = Config()
    config.bind = [f"fd://{bound.detach()}"]
    config.include_date_header = False  # the app writes its own
    config.include_server_header = False
    config.graceful_timeout = GRACE_SECONDS
    config.shutdown_timeout = GRACE_SECONDS
    config.keep_alive_timeout = head_seconds
    config.read_timeout = None
    config.websocket_ping_interval = 20
    config.websocket_max_message_size = 1024
    config.accesslog = config.errorlog = None
    return config


async def run(app: Quart, bound: socket.socket, draining: asyncio.Event) -> None:
    """Serve until `draining` is set, by a signal or by a part that died."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, draining.set)

    async def drained() -> None:
        await draining.wait()
        log.info("draining")

    _calm_collector()
    await serve(app, configure(bound), shutdown_trigger=drained)


def _calm_collector() -> None:
    """What was built until now lives as long as the process: searching it would stop all for 0.1 s at times."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
