"""A connection that does not block its device."""

import asyncio
import socket

import pytest

from firmware.vending.sockets import connect


def wire() -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    return made


async def test_it_is_connected_when_it_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, wire() as made:
        await connect(made, server.getsockname())
        assert made.send(b"at once") == 7


async def test_nobody_there_is_an_error() -> None:
    with wire() as taken, wire() as made:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match=r"not connected|refused"):
            await connect(made, taken.getsockname())


async def test_it_waits_without_blocking_until_the_other_side_takes_it() -> None:
    """A listener with a full queue answers nothing."""
    with socket.socket() as server, wire() as first, wire() as second, wire() as made:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        await connect(first, address)
        waiting = [asyncio.create_task(connect(one, address)) for one in (second, made)]
        await asyncio.sleep(0.2)
        assert not all(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
