"""The client that asks, in a process of its own: `python -m … < PLAN.json`, what became of it as JSON on stdout.

Plain HTTP/1.1 on connections that stay open. With a rate, requests are due at fixed times whether or not those before
are answered, and each latency counts from the time it was due: a server that stalls makes all that wait behind it late,
too. Without a rate each connection asks again as soon as it has its answer: as many a second as can be had.
"""

import asyncio
import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from time import perf_counter

import uvloop

HOST = "127.0.0.1"
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """What to ask. Requests of one lane go out in their order, and again from the first as long as there is time."""

    ports: Sequence[int]
    lanes: Sequence[Sequence[bytes]]
    connections: int
    """Of each lane, to the ports by turns."""
    rate: float | None = None
    """Requests a second of all lanes together."""
    seconds: float | None = None
    """None: once through."""

    def to_json(self) -> str:
        """For the process."""
        lanes = [[b64encode(request).decode() for request in lane] for lane in self.lanes]
        return json.dumps(asdict(self) | {"lanes": lanes})

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """What `to_json` wrote."""
        told = json.loads(text)
        told["lanes"] = [[b64decode(request) for request in lane] for lane in told["lanes"]]
        return cls(**told)


@dataclass
class Outcome:
    """What became of a plan."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    late_ms: float = 0.0
    """How late this client itself was at worst: part of the latencies, and no fault of the server."""
    failed: dict[str, int] = field(default_factory=dict)


class Connection:
    """One connection, which asks one thing at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """The status of the answer, once all of it is here."""
        if self._line is None:
            self._line = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._line
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        if b"connection: close" in head:
            await self.close()
        return int(head[9:12])

    async def close(self) -> None:
        """The next request makes it anew."""
        line, self._line = self._line, None
        if line is not None:
            await end(line[1])


async def end(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever became of it."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


class Load:
    """Carries out a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        """All of it."""
        plan, begun = self._plan, perf_counter()
        work = []
        due: list[asyncio.Queue[float | None]] = [asyncio.Queue() for _ in plan.lanes]
        for number, (lane, times) in enumerate(zip(plan.lanes, due, strict=True)):
            requests = iter(lane) if plan.seconds is None else cycle(lane)
            for place in range(plan.connections):
                connection = Connection(plan.ports[(number + place) % len(plan.ports)])
                asking = self._as_due(connection, requests, times) if plan.rate else self._at_once(connection, requests)
                work.append(asyncio.create_task(asking))
        if plan.rate:
            await self._arrivals(plan.rate, due)
        await asyncio.gather(*work)
        self._outcome.seconds = perf_counter() - begun
        return self._outcome

    async def _arrivals(self, rate: float, due: Sequence[asyncio.Queue[float | None]]) -> None:
        """Tell each lane in turn when its next request is due, at that time."""
        begun = perf_counter()
        for number in range(round(rate * (self._plan.seconds or 0))):
            at = begun + number / rate
            if (wait := at - perf_counter()) > 0:
                await asyncio.sleep(wait)
            self._outcome.late_ms = max(self._outcome.late_ms, (perf_counter() - at) * 1000)
            due[number % len(due)].put_nowait(at)
        for times in due:
            for _ in range(self._plan.connections):
                times.put_nowait(None)

    async def _as_due(self, line: Connection, requests: Iterator[bytes], times: asyncio.Queue[float | None]) -> None:
        while (at := await times.get()) is not None:
            await self._ask(line, next(requests), at)
        await line.close()

    async def _at_once(self, line: Connection, requests: Iterator[bytes]) -> None:
        ends = perf_counter() + (self._plan.seconds or float("inf"))
        for request in requests:
            await self._ask(line, request, perf_counter())
            if perf_counter() >= ends:
                break
        await line.close()

    async def _ask(self, line: Connection, request: bytes, at: float) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status = await line.ask(request)
        except (OSError, EOFError, ValueError) as error:
            await line.close()
            self._failed(repr(error)[:100])
            return
        self._outcome.latencies_ms.append((perf_counter() - at) * 1000)
        if status >= 400:
            self._failed(str(status))

    def _failed(self, why: str) -> None:
        self._outcome.failed[why] = self._outcome.failed.get(why, 0) + 1


async def measure(plan: Plan) -> Outcome:
    """Carry the plan out in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate(plan.to_json().encode())
    assert process.returncode == 0
    return Outcome(**json.loads(said))


def turns(requests: Sequence[bytes], lanes: int) -> list[list[bytes]]:
    """Requests dealt out to lanes."""
    return [list(islice(requests, first, None, lanes)) for first in range(lanes)]


async def _main() -> None:
    outcome = await Load(Plan.from_json(sys.stdin.read())).run()
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    uvloop.run(_main())
