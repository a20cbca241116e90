"""The device is killed at random moments of its vends; what it reports is never more than what the world saw."""

import asyncio
import random
from pathlib import Path
from uuid import UUID

from edge.clock import new_id
from firmware.simulator.world import read_world
from shared import devices as wire
from shared.topics import Channel
from tests.fakes.device_site import DeviceSite, device_site

SEED = 20261122
CUTS = 8


async def test_reports_after_random_cuts_hold_before_the_world(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    reports: dict[UUID, wire.VendReport] = {}
    async with device_site(tmp_path) as site:
        site.settings()
        for seq in range(1, CUTS + 1):
            vend_id = new_id()
            async with site.simulator("--drop-rate", "0.7", "--stock", "50") as process:
                await site.dispense(await site.expect(Channel.HELLO), seq, vend_id)
                await asyncio.sleep(chance.uniform(0, 0.3))
                process.kill()
                await process.wait()
            async with site.simulator("--drop-rate", "0.7"):
                reports[vend_id] = await settled(site, seq, vend_id)
    world = read_world(tmp_path / "state")
    assert max(world.motor_starts.values(), default=0) <= 1
    assert world.restocked["A1"] == world.stock["A1"] + world.drops.total()
    for vend_id, report in reports.items():
        assert_true(report, world.motor_starts[str(vend_id)], world.drops[str(vend_id)])


async def settled(site: DeviceSite, seq: int, vend_id: UUID) -> wire.VendReport:
    """The report of the vend; a command that was lost with the power is cancelled."""
    hello = await site.expect(Channel.HELLO)
    if hello.seq < seq:
        await site.send(wire.Cancel(epoch=1, seq=seq, vend_id=vend_id, mac="0" * 64))
    while True:
        report: wire.VendReport = await site.expect(Channel.OUTCOME)
        await site.acknowledge(report)
        if report.vend_id == vend_id:
            return report


def assert_true(report: wire.VendReport, starts: int, drops: int) -> None:
    if report.evidence is None:
        assert (starts, drops) == (0, 0)
        return
    assert starts == 1 or report.result != "done"
    if report.evidence.drop is not None:
        assert drops == report.evidence.drop
    if report.evidence.home_before and report.evidence.left_home is False and report.evidence.home_after:
        assert drops == 0
