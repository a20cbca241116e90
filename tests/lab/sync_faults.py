"""R6: facts through a line that cuts, loses replies, repeats, stalls and dies silently; both ledgers must end equal.

python -m tests.lab.sync_faults [--facts N] [--seed N] [--full]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from urllib.parse import urlsplit

from edge.clock import Clock
from edge.outbox import Position
from edge.settings import Settings
from shared.sync import CHAIN_START, link
from tests.fakes.cloud import FakeCloud, running
from tests.fakes.fault_proxy import FaultProxy, Trouble
from tests.fakes.sync_gateway import SyncGateway

BATCH = 25
STALL_S = 0.25


@dataclass
class Report:
    """What each side holds once nothing waits any more."""

    seed: int
    written: int
    arrived: int
    chains_equal: bool
    troubles: Counter[Trouble]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether all arrived, once, in order, and every trouble was met."""
        return self.chains_equal and self.arrived == self.written and set(self.troubles) == set(Trouble)

    def __str__(self) -> str:
        troubles = ", ".join(f"{trouble} {count}" for trouble, count in sorted(self.troubles.items()))
        return (
            f"seed {self.seed}: {self.written} facts written, {self.arrived} arrived in {self.seconds:.1f} s, chains "
            f"{'equal' if self.chains_equal else 'DIFFERENT'}; connections: {troubles}"
        )


async def run(facts: int, seed: int, folder: Path) -> Report:
    """Write so many facts while the agent pushes them; wait until the cloud has acknowledged all."""
    begin = time.monotonic()
    async with running(FakeCloud()) as cloud:
        proxy = FaultProxy(urlsplit(cloud.url).port or 0, seed, STALL_S)
        async with proxy.listening() as port:
            position = await _drain(cloud, port, facts, folder)
    chain = reduce(link, cloud.lines, CHAIN_START)
    equal = position.chain == position.acked_chain == cloud.chain == chain
    return Report(seed, position.seq, len(cloud.lines), equal, proxy.met, time.monotonic() - begin)


async def _drain(cloud: FakeCloud, port: int, facts: int, folder: Path) -> Position:
    settings = Settings.model_validate(
        {
            "state_dir": folder,
            "cloud_url": f"http://127.0.0.1:{port}",
            "claim_code": cloud.code,
            "cloud_timeout_s": 0.2,
            "backoff_first_s": 0.01,
            "backoff_limit_s": 0.05,
        }
    )
    gateway = SyncGateway(settings, Clock(), BATCH)
    await gateway.open()
    agent = asyncio.create_task(gateway.run(), name="sync")
    try:
        await gateway.write(facts)
        while (position := await gateway.agent.position()).waiting:  # noqa: ASYNC110 - the agent has no such event
            await asyncio.sleep(0.05)
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
        await gateway.close()
    return position


def main() -> None:
    parser = argparse.ArgumentParser(description="Facts through a bad line (R6).")
    parser.add_argument("--facts", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--full", action="store_true", help="100,000 facts")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(100_000 if chosen.full else chosen.facts, chosen.seed, Path(folder)))
    print(report)
    sys.exit(not report.good)


if __name__ == "__main__":
    main()
