"""Those who only listen, in a process of their own: pages that follow the orders, and gateways at the doorbell.

`python -m … < PLAN.json` prints a line when all are connected, and another at SIGTERM.
"""

import asyncio
import json
import signal
import sys
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import uvloop

from tests.benchmarks.api_bench.load import HOST, end

AT_ONCE = 32
"""So many connect at the same time."""
OPEN_SECONDS = 120.0
_CLOSE, _PING, _PONG = 0x88, 0x89, 0x8A
_MASK = b"\0\0\0\0"
_MEBIBYTE = 2**20


Listen = Callable[[asyncio.StreamReader, asyncio.StreamWriter, "asyncio.Future[None]"], Awaitable[None]]


@dataclass
class Standing:
    """How many are connected, and what they have heard so far."""

    streams: int = 0
    doorbells: int = 0
    heard: int = 0


class Crowd:
    """Holds connections until told to go. One that is lost is missing from then on."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.standing = Standing()

    async def stand(self, streams: Sequence[bytes], doorbells: Sequence[bytes]) -> list[asyncio.Task[None]]:
        """Connect all; their tasks end with their connections. Raises what a refused one raised."""
        loop = asyncio.get_running_loop()
        opened = [loop.create_future() for _ in (*streams, *doorbells)]
        listening = [(self._follow, request) for request in streams] + [(self._hang, request) for request in doorbells]
        tasks = []
        for number, ((listen, request), is_open) in enumerate(zip(listening, opened, strict=True)):
            await self._gate.acquire()
            is_open.add_done_callback(lambda _: self._gate.release())
            port = self._ports[number % len(self._ports)]
            tasks.append(asyncio.create_task(self._listen(listen, port, request, is_open)))
        async with asyncio.timeout(OPEN_SECONDS):
            await asyncio.gather(*opened)
        return tasks

    async def _listen(self, listen: Listen, port: int, request: bytes, is_open: asyncio.Future[None]) -> None:
        reader, writer = await asyncio.open_connection(HOST, port, limit=_MEBIBYTE)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if head[9:12] not in (b"200", b"101"):
                raise ConnectionRefusedError(head.decode())
            await listen(reader, writer, is_open)
        except (EOFError, OSError) as error:
            if not is_open.done():
                is_open.set_exception(error)
        finally:
            await end(writer)

    async def _follow(
        self, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, is_open: asyncio.Future[None]
    ) -> None:
        """A stream of server-sent events."""
        self.standing.streams += 1
        try:
            async for line in reader:
                if not is_open.done():
                    is_open.set_result(None)
                self.standing.heard += line.startswith(b"data:")
        finally:
            self.standing.streams -= 1

    async def _hang(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_open: asyncio.Future[None]
    ) -> None:
        """A WebSocket that answers pings and says nothing."""
        self.standing.doorbells += 1
        try:
            while True:
                kind, length = await reader.readexactly(2)
                said = await reader.readexactly(length)
                if kind == _CLOSE:
                    return
                if kind == _PING:
                    writer.write(bytes([_PONG, 0x80 | length]) + _MASK + said)
                    continue
                self.standing.heard += 1
                if not is_open.done():
                    is_open.set_result(None)
        finally:
            self.standing.doorbells -= 1


@asynccontextmanager
async def standing_crowd(
    ports: Sequence[int], streams: Sequence[bytes], doorbells: Sequence[bytes]
) -> AsyncIterator[Standing]:
    """As long as the context lasts all of them listen. Raises AssertionError if one was not let in, or lost."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    told = {"ports": list(ports), "streams": _texts(streams), "doorbells": _texts(doorbells)}
    process.stdin.write(json.dumps(told).encode())
    process.stdin.close()
    try:
        yield await _standing(process)
        process.terminate()
        after = await _standing(process)
        assert (after.streams, after.doorbells) == (len(streams), len(doorbells)), f"some were lost: {after}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _standing(process: asyncio.subprocess.Process) -> Standing:
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, "somebody was not let in"
    return Standing(**json.loads(line))


def _texts(requests: Sequence[bytes]) -> list[str]:
    return [b64encode(request).decode() for request in requests]


async def _main() -> None:
    told = json.loads(sys.stdin.read())
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    crowd = Crowd(told["ports"])
    tasks = await crowd.stand(list(map(b64decode, told["streams"])), list(map(b64decode, told["doorbells"])))
    print(json.dumps(asdict(crowd.standing)), flush=True)
    await leaving.wait()
    print(json.dumps(asdict(crowd.standing)), flush=True)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    uvloop.run(_main())
