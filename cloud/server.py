"""Hypercorn in process: one worker, its own deadlines. Told to stop, it serves on until nobody comes, then goes."""

import asyncio
import gc
import resource
import signal
import socket

import structlog
from hypercorn.config import Config
from quart import Quart

from cloud.certificates import Certificate
from cloud.listener import Listener

log = structlog.get_logger()

GRACE_SECONDS = 12.0
"""What is in progress when the listener closes has so long to end: a little more than a request may take. Streams and
doorbells end at once, and connections on which nothing is asked."""
HEAD_SECONDS = 75.0
"""How long a connection may stand without a request, or with half the head of one. Bodies have their own deadlines."""
DEAF_MILLISECONDS = 60_000
"""A peer that acknowledges nothing for so long is gone. Doorbells and streams send more often than that."""
HANDSHAKE_SECONDS = 10.0
MOST_FILES = 65_536
_YOUNG_OBJECTS = 10_000
"""After so many new ones garbage is searched for. A batch of facts makes about half as many, and drops them at once."""


class Stopping:
    """How the process ends: first `leaving` is set, so that it calls itself not ready, later `draining`.

    A part that died sets `draining` itself.
    """

    def __init__(self, drain_seconds: float = 0.0) -> None:
        self.leaving = asyncio.Event()
        self.draining = asyncio.Event()
        self._drain_seconds = drain_seconds

    async def run(self) -> None:
        """Sets `draining` so long after `leaving`, and `leaving` when a part has died before anybody was told."""
        dead, told = (asyncio.ensure_future(event.wait()) for event in (self.draining, self.leaving))
        try:
            await asyncio.wait([dead, told], return_when=asyncio.FIRST_COMPLETED)
            if not self.draining.is_set():
                log.info("leaving", drain_s=self._drain_seconds)
                await asyncio.wait([dead], timeout=self._drain_seconds)
        finally:
            dead.cancel()
            told.cancel()
        self.leaving.set()
        self.draining.set()
        log.info("draining")


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


def allow_connections() -> None:
    """Each takes a file. A shell allows 1,024, where the machine would allow more, and gateways hang on for ever."""
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if allowed == resource.RLIM_INFINITY else min(allowed, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, allowed))


def url_of(bound: socket.socket, scheme: str = "http") -> str:
    """Where a browser finds it."""
    host, port = bound.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if bound.family == socket.AF_INET6 else f"{scheme}://{host}:{port}"


def configure(head_seconds: float = HEAD_SECONDS) -> Config:
    """Hypercorn's settings.

    It has no read timeout: that would cut off every stream whose listener has nothing to say.
    """
    config = Config()
    config.ssl_handshake_timeout = HANDSHAKE_SECONDS
    config.include_date_header = False  # the app writes its own
    config.include_server_header = False
    config.shutdown_timeout = GRACE_SECONDS
    config.keep_alive_timeout = head_seconds
    config.read_timeout = None
    config.websocket_ping_interval = 20
    config.websocket_max_message_size = 1024
    config.accesslog = config.errorlog = None
    return config


async def run(
    app: Quart,
    bound: socket.socket,
    stopping: Stopping,
    certificate: Certificate | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> None:
    """Serve until told to stop, by a signal or by a part that died. A second signal does not wait for the drain."""
    loop = asyncio.get_running_loop()

    def told() -> None:
        (stopping.draining if stopping.leaving.is_set() else stopping.leaving).set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, told)
    allow_connections()
    _calm_collector()
    drain = loop.create_task(stopping.run(), name="drain")
    try:
        await Listener(app, bound, configure(), certificate).serve(stopping.draining, grace_seconds)
    finally:
        drain.cancel()


def _calm_collector() -> None:
    """What was built until now lives as long as the process: searching it would stop all for 0.1 s at times."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
