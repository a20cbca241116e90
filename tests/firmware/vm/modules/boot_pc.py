# mypy: ignore-errors
"""What MicroPython's WebAssembly port lacks of the ESP32's, put in its place before main.py runs.

The port's asyncio is MicroPython's own (tasks, events, gather, wait_for in the same C and Python) on the event loop of
JavaScript. Three things are not in it:

* `run` cannot block there: the garbage collector works only between two calls from JavaScript. So it begins the program
  and returns, and main.py comes to its end at once, its `finally` with it: the motors' pins are lowered a first time.
  Should the program ever end, so does the VM, which is what a restart of the board is for the cabinet.
* `StreamReader` and `start_server`, the only parts of asyncio that meet sockets.
"""

import asyncio
import binascii
import os
import socket
import sys

import _pc


class Stream:
    """MicroPython's asyncio stream, as its documentation promises it, over a socket that does not block."""

    def __init__(self, wire) -> None:
        self._wire = wire
        self._unsent = b""

    async def read(self, size: int) -> bytes:
        data = self._wire.read(size)
        while data is None:
            await self._wire.change()
            data = self._wire.read(size)
        return data

    async def readexactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await self.read(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def write(self, data: bytes) -> None:
        """At once what can be, for `drain` the rest. Raises OSError."""
        taken = 0 if self._unsent else self._wire.write(data) or 0
        self._unsent += data[taken:]

    async def drain(self) -> None:
        while self._unsent:
            taken = self._wire.write(self._unsent)
            if taken is None:
                await self._wire.change()
            else:
                self._unsent = self._unsent[taken:]

    def close(self) -> None:
        """As there: it is `wait_closed` that closes."""

    async def wait_closed(self) -> None:
        self._wire.close()


class Server:
    def __init__(self, close) -> None:
        self.close = close

    async def wait_closed(self) -> None:
        """As there: nothing is left to wait for."""


async def _start_server(serve, host: str, port: int) -> Server:
    """Of the PC's loopback, whatever address of the board's own `host` is."""
    visits = []

    def accepted(number: int) -> None:
        wire = socket.Socket()
        wire.adopt(number)
        stream = Stream(wire)
        visits.append(asyncio.create_task(serve(stream, stream)))

    return Server(_pc.socket_listen(port, accepted))


def _run(program):
    return asyncio.create_task(_until_its_end(program))


async def _until_its_end(program) -> None:
    try:
        await program
    except BaseException as error:
        sys.print_exception(error)
        raise
    finally:
        _pc.end()


if "partitions" in os.listdir("/flash"):
    # The boot loader chooses before anything else runs.
    __import__("esp32")

asyncio.run = _run
asyncio.start_server = _start_server
asyncio.StreamReader = asyncio.StreamWriter = Stream
os.urandom = lambda size: binascii.unhexlify(_pc.random(size))
