"""A server that is cancelled, at whatever moment, leaves no socket open."""

import asyncio

import pytest
from quart import Quart

from edge.kiosk.server import bind, serve


@pytest.mark.parametrize("steps", [1, 3, 10, 30, 100])
async def test_a_server_that_is_cancelled_closes_its_socket(steps: int) -> None:
    listener = bind("127.0.0.1", 0)
    place = listener.getsockname()
    task = asyncio.create_task(serve(Quart("test"), listener, asyncio.Event()))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*place)
