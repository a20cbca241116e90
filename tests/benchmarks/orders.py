"""`./dev bench orders [--quick]`: what an order costs, each figure beside its floor, all in one run.

Tap → command, orders a second, facts a second into the cloud, and what the gateway takes of its machine. Prints a table
and writes .larder/bench/orders.json. Other work on the machine moves the figures: compare within one run only.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import cloud_ingest
from tests.benchmarks.order_bench import footprint, latency, throughput
from tests.benchmarks.order_bench.fleet import Fleet, running_fleet
from tests.benchmarks.order_bench.floors import Commits, bare_broker
from tests.benchmarks.order_bench.report import HEADING, Line, median, p99
from tests.system.processes import ROOT

FOLDER = ROOT / ".larder/bench"
LEAST_ORDERS = 1000
"""Before the gateway's memory counts."""

FLOORS = """\
floors, in the order of the lines: the path's commits as bare SQLite FULL commits and one bare MQTT round trip;
FULL commits a second; a bare interpreter that imports the gateway's libraries; a bare deduplicating insert"""


class Bench:
    """One run. `quick` shortens every part; its figures are only a first look."""

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self.lines: list[Line] = []
        self.broker = ""

    async def run(self) -> None:
        """All parts, one after the other."""
        with tempfile.TemporaryDirectory(prefix="larder-bench-", dir=FOLDER) as folder:
            commits = Commits(Path(folder))
            try:
                async with running_fleet(Path(folder)) as fleet:
                    await self._latency(fleet, commits)
                    await self._throughput(fleet, commits)
                    await self._footprint(fleet)
            finally:
                commits.close()
        await self._ingest()

    async def _latency(self, fleet: Fleet, commits: Commits) -> None:
        async with bare_broker() as (self.broker, trips):
            found = await latency.measure(fleet, commits, trips, 100 if self._quick else 500)
        tap, floor = median(found.tap), median(found.floor)
        worst = p99(found.tap) * 1000
        path = f"{found.commits} commit{'s' * (found.commits > 1)} of {found.pages} pages"
        self._say(Line("tap → command, median", tap * 1000, "ms", floor * 1000, "≤ 2 ×", tap <= 2 * floor))
        self._say(Line("tap → command, p99", worst, "ms", p99(found.floor) * 1000, "≤ 15 ms", worst <= 15))
        self._say(Line("  tap → HTTP answer, median", median(found.answered) * 1000, "ms"))
        self._say(Line(f"  its path: {path}", found.commits, "commits"))
        self._say(Line("  SQLite FULL commit, median", median(found.commit) * 1000, "ms"))
        self._say(Line(f"  round trip ({self.broker}), median", median(found.round_trip) * 1000, "ms"))

    async def _throughput(self, fleet: Fleet, commits: Commits) -> None:
        before = commits.a_second(3)
        rate, taps = await throughput.measure(fleet, 8 if self._quick else 30)
        floor = (before + commits.a_second(3)) / 2
        self._say(Line("orders a second, 10 machines", rate, "/s", floor))
        self._say(Line("  tap → command under that load, median", median(taps) * 1000, "ms"))
        self._say(Line("  tap → command under that load, p99", p99(taps) * 1000, "ms"))

    async def _footprint(self, fleet: Fleet) -> None:
        libraries_mb, libraries_s = footprint.libraries()
        while (orders := await fleet.until_quiet()) < LEAST_ORDERS:
            await throughput.measure(fleet, 2)
        memory = footprint.memory_mb(fleet.gateway.pid)
        self._say(Line(f"gateway RSS after {orders:,} orders", memory, "MB", libraries_mb, "≤ 110 MB", memory <= 110))
        cpu = await footprint.idle_cpu_percent(fleet.gateway.pid, 10 if self._quick else 60)
        self._say(Line("gateway idle CPU, 10 devices connected", cpu, "%", None, "≤ 2 %", cpu <= 2))
        sales = [await footprint.first_sale_s(fleet) for _ in range(3 if self._quick else 7)]
        first, worst = median(sales), max(sales)
        self._say(Line("start → first sale, median", first, "s", libraries_s, "≤ 3 s", first <= 3))
        self._say(Line("start → first sale, worst", worst, "s", libraries_s, "≤ 3 s", worst <= 3))

    async def _ingest(self) -> None:
        speed = await cloud_ingest.measure(10_000 if self._quick else 50_000)
        met = speed.share >= 0.25
        self._say(Line("facts a second into the cloud", speed.ingest, "/s", speed.bare_insert, "≥ 0.25 ×", met))
        self._say(Line("  batch of 500, median", speed.batch_ms_median, "ms"))
        self._say(Line("  batch of 500, p99", speed.batch_ms_p99, "ms"))

    def _say(self, line: Line) -> None:
        self.lines.append(line)
        print(line.text(), flush=True)


def main() -> int:
    """The exit status: 0 unless something broke, whatever the figures."""
    parser = argparse.ArgumentParser(prog="./dev bench orders", description="What an order costs, beside its floor.")
    parser.add_argument("--quick", action="store_true", help="a first look in about a minute")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f} before\n{HEADING}", flush=True)
    bench = Bench(quick=options.quick)
    asyncio.run(bench.run())
    load_after = os.getloadavg()[0]
    print(f"{FLOORS}\nload {load_after:.1f} after")
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": options.quick,
        "cores": os.cpu_count(),
        "load_before": load,
        "load_after": load_after,
        "broker_of_the_floor": bench.broker,
        "lines": [{**asdict(line), "ratio": line.ratio} for line in bench.lines],
    }
    target = FOLDER / "orders.json"
    target.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(f"written: {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
