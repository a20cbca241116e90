"""R6: facts through a line that cuts, loses replies, repeats, stalls and dies silently; both ledgers end equal."""

import asyncio
import os
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

FACTS = int(os.environ.get("LARDER_LAB_FACTS", "5000"))
SEED = int(os.environ.get("LARDER_LAB_SEED", "20260"))
BATCH = 25
STALL_S = 0.25


async def run(cloud: FakeCloud, port: int, folder: Path) -> Position:
    """Write all facts while the agent pushes them through the port; where the ledger stands once none waits."""
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
    agent = asyncio.create_task(gateway.run())
    try:
        await gateway.write(FACTS)
        while (position := await gateway.agent.position()).waiting:  # noqa: ASYNC110 - the agent has no such event
            await asyncio.sleep(0.05)
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
        await gateway.close()
    return position


async def test_both_ledgers_are_equal_after_a_bad_line(tmp_path: Path) -> None:
    print(f"seed {SEED}, {FACTS} facts")
    async with running(FakeCloud()) as cloud:
        proxy = FaultProxy(urlsplit(cloud.url).port or 0, SEED, STALL_S)
        async with proxy.listening() as port:
            position = await run(cloud, port, tmp_path)
    print(dict(proxy.met))
    assert set(proxy.met) == set(Trouble), "a trouble was never met"
    assert len(cloud.lines) == FACTS
    chain = reduce(link, cloud.lines, CHAIN_START)
    assert (position.epoch, position.seq, position.chain) == (1, FACTS, chain)
    assert (cloud.epoch, cloud.chain, position.acked_chain) == (1, chain, chain)
