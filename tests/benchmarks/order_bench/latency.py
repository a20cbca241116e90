"""From the tap to the dispense command on the device's socket, turn by turn with its floor, in one weather."""

import asyncio
from dataclasses import dataclass, field

from tests.benchmarks.order_bench.fleet import SLOTS, Fleet
from tests.benchmarks.order_bench.floors import Commits, RoundTrips
from tests.benchmarks.order_bench.ledger import written
from tests.benchmarks.order_bench.tap import Kiosk

WARM_UP = 50
PAUSE_S = 0.03
"""Between two taps: what the last one set off has come to rest, its facts have reached the cloud."""


@dataclass(slots=True)
class Latencies:
    """Seconds, one entry a tap."""

    commits: int
    pages: int
    tap: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)
    round_trip: list[float] = field(default_factory=list)

    @property
    def floor(self) -> list[float]:
        """Of each tap: as many commits as its path has, and one round trip."""
        return [self.commits * commit + trip for commit, trip in zip(self.commit, self.round_trip, strict=True)]


async def measure(fleet: Fleet, commits: Commits, trips: RoundTrips, taps: int) -> Latencies:
    """Tap so often, machine after machine. The cloud is there."""
    found = Latencies(*await count_commits(fleet))
    kiosk = await Kiosk.open(fleet.kiosk_port)
    for number in range(-WARM_UP, taps):
        answered, arrived = await fleet.sell(kiosk, fleet.devices[number % len(fleet.devices)])
        await asyncio.sleep(PAUSE_S)
        commit, trip = commits.one(), await trips.one()
        if number >= 0:
            found.tap.append(arrived)
            found.answered.append(answered)
            found.commit.append(commit)
            found.round_trip.append(trip)
    kiosk.close()
    return found


async def count_commits(fleet: Fleet, tries: int = 10) -> tuple[int, int]:
    """How often the gateway commits between tap and command, and how many pages it writes, by its write-ahead log.

    The least of some tries: another part may commit meanwhile, but the path itself never less.
    """
    wal, device = fleet.state / "ledger.db-wal", fleet.devices[0].fake
    kiosk, counts = await Kiosk.open(fleet.kiosk_port), []
    device.slow = True
    for _ in range(tries):
        await fleet.until_quiet()
        device.commanded.clear()
        before = written(wal)
        _, _, order = await kiosk.order(device.machine_id, SLOTS[0])
        await device.commanded.wait()
        after = written(wal)
        await device.turn()
        while await device.ended.get() != order["vends"][0]["vend_id"]:
            pass
        if before.salts == after.salts:
            counts.append((after.commits - before.commits, after.pages - before.pages))
    device.slow = False
    kiosk.close()
    return min(counts)
