"""R2: the gateway's whole process group killed with -9 at random moments, while customers go on ordering.

python -m tests.lab.kill [--times N | --full] [--seed S]

Two sites, each with a free and a cash machine and two customers at both. Each kill comes at a random moment: while
the gateway starts, while its devices find it again, or while orders are under way. At the end everything must add
up: for the customers, in the machines, in the ledger and in the cloud.
"""

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from firmware.simulator.world import read_world
from tests.lab.crash_oracle import Verdict, report
from tests.lab.crash_shop import NotSold
from tests.lab.crash_site import Site
from tests.system.kiosk import NotInTime
from tests.system.processes import ProcessFailed
from tests.system.stage import Machine

TIMES, FULL_TIMES = 100, 10_000
SITES = 2
CUSTOMERS = 2
"""At each machine."""
READY_S = 3.0
"""RELIABILITY R2."""
STOCK = 500
STARTING, RETURNING, ORDERING = "starting", "devices returning", "ordering"
MOMENTS = {STARTING: 0.2, RETURNING: 0.3, ORDERING: 0.5}
"""How many of the kills come when."""
LATEST_S = {STARTING: 1.5, RETURNING: 1.5, ORDERING: 0.8}
"""Into that phase; for orders after one was taken: a whole vend takes less."""
TAKEN_S = 60.0


@dataclass
class Result:
    """Of all sites. Times in seconds."""

    verdict: Verdict = field(default_factory=Verdict)
    restarts: list[float] = field(default_factory=list)
    moments: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    together: int = 0
    """Motors that started while another one of the same machine turned."""

    def __str__(self) -> str:
        moments = ", ".join(f"{count} while {moment}" for moment, count in self.moments.items())
        lines = [f"{self.moments.total()} kills: {moments}; {self.orders} orders acknowledged", report(self.verdict)]
        lines.append(f"  {self.together} motors started beside another one")
        if self.restarts:
            lines.append(self._times())
        return "\n".join(lines)

    def _times(self) -> str:
        ready = sorted(self.restarts)
        median, p99 = statistics.median(ready), ready[min(len(ready) - 1, round(0.99 * len(ready)))]
        late = sum(seconds > READY_S for seconds in ready)
        return (
            f"  {'LATE' if late else 'ok  '} ready again after {median:.2f} s (median), {p99:.2f} s (p99), "
            f"{ready[-1]:.2f} s (at most); {late} of {len(ready)} took over {READY_S:.0f} s"
        )


class Killer:
    """Kills at one site, and the customers who notice nothing but waiting."""

    def __init__(self, site: Site, chance: random.Random, result: Result) -> None:
        self._site = site
        self._chance = chance
        self._result = result
        self._closing = False
        self._taken = asyncio.Event()

    async def run(self, times: int) -> None:
        """Kill so many times, then judge. Whatever fails is in the result."""
        verdict = self._result.verdict
        try:
            await self._site.open(STOCK)
            self._site.restarts.clear()
            await self._kill_and_order(times)
            verdict.add(await self._site.judge())
            verdict.add(await self._site.judge_files())
        except* (NotInTime, ProcessFailed, OSError) as errors:
            verdict.faults.update(map(str, errors.exceptions))
        finally:
            self._result.orders += len(self._site.shop.acknowledged)
            self._result.restarts += self._site.restarts
            states = map(self._site.stage.device_state, self._site.machines)
            self._result.together += sum(read_world(state).together for state in states)
            await self._site.close()

    async def _kill_and_order(self, times: int) -> None:
        async with asyncio.TaskGroup() as group:
            for machine in self._site.machines:
                for number in range(CUSTOMERS):
                    group.create_task(self._order(machine), name=f"customer {number} of {machine.name}")
            for _ in range(times):
                await self._kill(self._chance.choices(list(MOMENTS), list(MOMENTS.values()))[0])
            if self._site.stage.gateway.ended:
                await self._site.start_gateway()
            self._closing = True

    async def _kill(self, moment: str) -> None:
        if moment == STARTING:
            await self._site.stage.gateway.kill()
            self._site.stage.gateway.start()
        elif self._site.stage.gateway.ended:
            await self._site.start_gateway()
        if moment == ORDERING:
            self._taken.clear()
            await asyncio.wait_for(self._taken.wait(), TAKEN_S)
        await asyncio.sleep(self._chance.uniform(0, LATEST_S[moment]))
        await self._site.stage.gateway.kill()
        self._result.moments[moment] += 1

    async def _order(self, machine: Machine) -> None:
        shop = self._site.shop
        while not self._closing:
            try:
                placed = await shop.begin(machine)
            except NotSold:
                continue  # another customer was faster
            self._taken.set()
            with suppress(LookupError):  # an order is gone: the judge will miss it too
                await shop.until_ended(placed["order_id"])


async def run(times: int, seed: int) -> Result:
    """All sites. State is kept when something was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="larder-kill-"))
    result, killers = Result(), []
    for number in range(SITES):
        chance = random.Random(f"{seed}/{number}")
        site = Site(folder / str(number), chance)
        killers.append(Killer(site, chance, result).run(times // SITES + (number < times % SITES)))
    await asyncio.gather(*killers)
    if result.verdict.held:
        shutil.rmtree(folder)
    else:
        print(f"logs and state are kept in {folder}")
    return result


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=TIMES, help=f"how many kills (default: {TIMES})")
    parser.add_argument("--full", action="store_true", help=f"{FULL_TIMES} kills")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began, times = time.monotonic(), FULL_TIMES if options.full else options.times
    print(f"{times} kills, seed {options.seed}", flush=True)
    result = asyncio.run(run(times, options.seed))
    print(f"{result}\n{time.monotonic() - began:.0f} s")
    if times >= TIMES and not result.together:
        print("no motor ever started beside another one: nothing was shown of that")
        return 1
    return 0 if result.verdict.held else 1


if __name__ == "__main__":
    sys.exit(main())
