"""The parts of Hypercorn that are not its interface, and that the listener builds on."""

import inspect
from importlib.metadata import version

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.protocol.ws_stream import WSStream

READ = "0.18"
TAKES = {
    ASGIWrapper: ["app"],
    Lifespan: ["app", "config", "loop", "lifespan_state"],
    TCPServer: ["app", "loop", "config", "context", "state", "reader", "writer"],
    WorkerContext: ["max_requests"],
}
TO_DO = f"""
cloud/listener.py was written by Hypercorn {READ}, of which it uses parts that Hypercorn promises to nobody. Before
another one is taken:
1. Compare hypercorn/asyncio/run.py of both (worker_serve) with Listener.serve, and tcp_server.py and
   protocol/ws_stream.py with what the listener says of connections and pings.
2. Change the listener where they differ, then READ and TAKES here, and the bound in pyproject.toml; run ./dev lock.
3. Run tests/cloud/test_draining.py, test_server.py, test_certificates.py and tests/lab/test_two_instances.py.
"""


def test_hypercorn_is_the_one_that_the_listener_was_written_by() -> None:
    assert version("hypercorn").startswith(f"{READ}."), TO_DO
    for part, names in TAKES.items():
        assert list(inspect.signature(part).parameters) == names, f"{part.__qualname__}: {TO_DO}"
    assert inspect.iscoroutinefunction(WSStream._send_pings), TO_DO
    assert inspect.iscoroutinefunction(WorkerContext(None).terminated.set), TO_DO
