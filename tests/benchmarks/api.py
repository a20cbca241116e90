"""`./dev bench api [--orders N] [--json]`: what people, programs and gateways wait for the cloud, with a year's orders.

On one durable Postgres with 1,000,000 orders of 10,000 machines, each operation is asked of one instance and of two
(clients go to them by turns, without a proxy between), in quiet and while pages follow the orders and gateways hang on
the doorbell. No limit on how often somebody may ask is in force: all `LARDER_CLOUD_RATE_*` are set to 9999999/1.
Argon2id is what it is everywhere else (19 MiB, two passes). Other work on the machine moves the figures; CPU ms a
request least of all.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from cloud.auth.gate import COOKIE
from tests.benchmarks.api_bench.crowd import standing_crowd
from tests.benchmarks.api_bench.instances import Instances, allow_open_files, instances
from tests.benchmarks.api_bench.load import measure
from tests.benchmarks.api_bench.operations import Operation, doorbells, operations, streams
from tests.benchmarks.api_bench.report import HEADING, LEGEND, Doorbells, Figure, Report
from tests.benchmarks.api_bench.world import EMAIL, PHRASE, World, world_at_size
from tests.benchmarks.order_bench.report import median, p99
from tests.system.processes import ROOT

FOLDER = ROOT / ".larder/bench"
DOORBELLS_MB = 400.0


@dataclass(frozen=True)
class Size:
    """How much of everything. The goals are for what stands here."""

    orders: int = 1_000_000
    machines: int = 10_000
    streams: int = 100
    doorbells: int = 1_000
    most_doorbells: int = 5_000
    seconds: float = 4.0
    """At a fixed rate; as fast as it goes, and to warm up, a third of it."""
    hold_seconds: float = 25.0
    """For which all doorbells hang on: a ping, and what it makes."""


class Bench:
    """One run."""

    def __init__(self, size: Size, *, quiet: bool = False) -> None:
        self._size = size
        self._quiet = quiet
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.report = Report(now, os.cpu_count() or 1, size.orders, size.machines, os.getloadavg()[0])

    async def run(self, folder: Path) -> None:
        """All of it."""
        size, begun = self._size, time.perf_counter()
        self._say(f"filling {size.orders:,} orders of {size.machines:,} machines …")
        listeners = max(size.doorbells, size.most_doorbells)
        async with world_at_size(folder, size.orders, size.machines, listeners) as world:
            self.report.fill_s = time.perf_counter() - begun
            self._say(f"filled in {self.report.fill_s:.0f} s\n\n{LEGEND}\n\n{HEADING}")
            for count in (1, 2):
                await self._with(world, count)
            await self._doorbells(world)
        self.report.load_after = os.getloadavg()[0]
        self._say(f"load {self.report.load_before:.1f} before, {self.report.load_after:.1f} after")

    async def _with(self, world: World, count: int) -> None:
        name = f"{count} instance{'s' * (count > 1)}"
        async with instances(world.url, world.postgres_pid, count) as cloud, AsyncExitStack() as crowd:
            session = await _session(cloud.running[0].url)
            await self._all(f"{name}, quiet", cloud, operations(world, session))
            pages, gateways = streams(session, self._size.streams), doorbells(world, self._size.doorbells)
            await crowd.enter_async_context(standing_crowd(cloud.ports, pages, gateways))
            busy = f"{name}, {len(pages)} streams, {len(gateways):,} doorbells"
            await self._all(busy, cloud, operations(world, session))

    async def _all(self, circumstances: str, cloud: Instances, asked: Sequence[Operation]) -> None:
        self._say(circumstances)
        for operation in asked:
            figure = await self._figure(circumstances, cloud, operation)
            self.report.figures.append(figure)
            self._say(figure.text())
        peaks = self.report.peak_rss_mb[circumstances] = cloud.peak_rss_mb()
        self._say(f"  peak RSS: {', '.join(f'{peak:.0f} MB' for peak in peaks)}")

    async def _figure(self, circumstances: str, cloud: Instances, operation: Operation) -> Figure:
        seconds = self._size.seconds
        most = await measure(operation.at_once(cloud.ports, seconds / 3))
        before = cloud.cpu_s()
        steady = await measure(operation.at_rate(cloud.ports, seconds))
        taken = [
            (after - was) * 1000 / len(steady.latencies_ms) for was, after in zip(before, cloud.cpu_s(), strict=True)
        ]
        return Figure(
            circumstances,
            operation.name,
            p50_ms=median(steady.latencies_ms),
            p99_ms=p99(steady.latencies_ms),
            rate=operation.rate,
            most_a_second=len(most.latencies_ms) / most.seconds,
            cloud_cpu_ms=taken[0],
            postgres_cpu_ms=taken[1],
            client_late_ms=steady.late_ms,
            goal_ms=operation.goal_ms,
            failed=most.failed | steady.failed,
        )

    async def _doorbells(self, world: World) -> None:
        hanging = doorbells(world, self._size.most_doorbells)
        async with instances(world.url, world.postgres_pid, 1) as cloud:
            before = cloud.rss_mb()[0]
            async with standing_crowd(cloud.ports, [], hanging):
                taken = cloud.cpu_s()[0]
                await asyncio.sleep(self._size.hold_seconds)
                cpu = (cloud.cpu_s()[0] - taken) / self._size.hold_seconds * 100
                peak = cloud.peak_rss_mb()[0]
        self.report.doorbells = Doorbells(len(hanging), peak, before, cpu, DOORBELLS_MB)
        self._say(self.report.doorbells.text())

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(text, flush=True)


async def _session(url: str) -> str:
    """The secret in the cookie of who has signed in."""
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.post("/login", data={"email": EMAIL, "password": PHRASE})
    return answer.cookies[COOKIE]


def main() -> int:
    """The exit status: 0 unless something broke, whatever the figures."""
    parser = argparse.ArgumentParser(prog="./dev bench api", description="What people and programs wait for the cloud.")
    parser.add_argument("--orders", type=int, default=Size.orders, help="a hundredth as many machines; 1,000,000")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    options = parser.parse_args()
    size = Size(orders=options.orders, machines=max(200, options.orders // 100))
    allow_open_files(size.most_doorbells + 1_000)
    FOLDER.mkdir(parents=True, exist_ok=True)
    bench = Bench(size, quiet=options.json)
    with tempfile.TemporaryDirectory(prefix="larder-bench-", dir=FOLDER) as folder:
        asyncio.run(bench.run(Path(folder)))
    if options.json:
        print(json.dumps(bench.report.as_dict(), indent=2, ensure_ascii=False))
    return int(bench.report.has_failures)


if __name__ == "__main__":
    sys.exit(main())
