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
from uuid import UUID

from edge.clock import Clock
from edge.outbox import Position
from edge.settings import Settings
from shared.sync import CHAIN_START, link
from tests.fakes.fault_proxy import FaultProxy, Trouble
from tests.fakes.postgres_cloud import running_cloud
from tests.fakes.sync_gateway import SyncGateway

BATCH = 60
TIMEOUT_S = 0.3
STALL_S = 0.35


@dataclass
class Report:
    """What each side holds once nothing waits any more. `counted` is what the facts came to in the cloud's stock."""

    seed: int
    written: int
    arrived: int
    counted: int
    dead: int
    chains_equal: bool
    troubles: Counter[Trouble]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether all arrived and took effect, once, in order, and every trouble was met."""
        same = self.arrived == self.counted == self.written
        return self.chains_equal and same and not self.dead and set(self.troubles) == set(Trouble)

    def __str__(self) -> str:
        troubles = ", ".join(f"{trouble} {count}" for trouble, count in sorted(self.troubles.items()))
        return (
            f"seed {self.seed}: {self.written} facts written, {self.arrived} arrived, {self.counted} took effect, "
            f"{self.dead} dead letters, chains {'equal' if self.chains_equal else 'DIFFERENT'}, {self.seconds:.1f} s; "
            f"connections: {troubles}"
        )


async def run(facts: int, seed: int, folder: Path) -> Report:
    """Write so many facts while the agent pushes them to a real cloud; wait until it has acknowledged all."""
    async with running_cloud(folder / "cloud") as cloud:
        begin = time.monotonic()
        machine_id = cloud.seeded.machines[0].machine_id
        proxy = FaultProxy(urlsplit(cloud.url).port or 0, seed, STALL_S)
        async with proxy.listening() as port:
            gateway = _gateway(folder / "gateway", port, cloud.seeded.gateway_claim_code)
            position = await _drain(gateway, facts, UUID(machine_id))
        lines = [line for _, line in await cloud.lines()]
        chain = reduce(link, lines, CHAIN_START)
        return Report(
            seed=seed,
            written=position.seq,
            arrived=len(lines),
            counted=(await cloud.stock(machine_id)).get("A1", 0),
            dead=await cloud.dead_letters(),
            chains_equal=position.chain == position.acked_chain == await cloud.chain() == chain,
            troubles=proxy.met,
            seconds=time.monotonic() - begin,
        )


def _gateway(folder: Path, port: int, code: str) -> SyncGateway:
    settings = Settings.model_validate(
        {
            "state_dir": folder,
            "cloud_url": f"http://127.0.0.1:{port}",
            "claim_code": code,
            "cloud_timeout_s": TIMEOUT_S,
            "backoff_first_s": 0.01,
            "backoff_limit_s": 0.05,
        }
    )
    return SyncGateway(settings, Clock(), BATCH)


async def _drain(gateway: SyncGateway, facts: int, machine_id: UUID) -> Position:
    await gateway.open()
    agent = asyncio.create_task(gateway.run(), name="sync")
    try:
        await gateway.write(facts, machine_id)
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
