"""A crash at any point of the sync: nothing is lost, nothing takes effect twice (R1)."""

import asyncio

import pytest

from edge.clock import Clock, new_id
from edge.failpoints import Failpoints
from edge.settings import Settings
from shared.catalog import ProductVersion
from tests.fakes.cloud import FakeCloud
from tests.fakes.sync_gateway import SyncGateway
from tests.fakes.until import until

POINTS = [
    "sync.claim.before_keep",
    "sync.claim.after_keep",
    "sync.push.before_send",
    "sync.push.after_send",
    "sync.push.before_commit",
    "sync.push.after_commit",
    "sync.pull.after_receive",
    "sync.pull.before_commit",
    "sync.pull.after_commit",
]
FACTS = 60
BATCH = 20
NAMES = ["Chips", "Nuts", "Water"]


class Crash(BaseException):
    """Takes the place of the end of the process: nothing in the program may catch it."""


class Crashes(Failpoints):
    """Raises at the N-th hit instead of ending the process, and at every hit of anything from then on."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__()
        self.name, self.left = name, count

    def hit(self, name: str) -> None:
        if name == self.name and self.left > 0:
            self.left -= 1
        if self.left == 0:
            raise Crash


async def live(settings: Settings, failpoints: Failpoints | None = None, write: int = 0) -> None:
    """One life of the gateway: until it crashes, or has nothing left to do."""
    gateway = SyncGateway(settings, Clock(), BATCH, failpoints)
    await gateway.open()
    running = asyncio.create_task(gateway.run(), name="sync")
    try:
        await gateway.write(write)
        while not running.done() and not await is_idle(gateway):  # noqa: ASYNC110 - the agent has no such event
            await asyncio.sleep(0.01)
    except Crash:
        assert failpoints is not None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await gateway.close()


async def is_idle(gateway: SyncGateway) -> bool:
    return not (await gateway.agent.position()).waiting and await gateway.product_names() == NAMES


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", POINTS)
async def test_a_crash_costs_nothing(cloud: FakeCloud, settings: Settings, name: str, count: int) -> None:
    cloud.change(*(ProductVersion(product_id=new_id(), version=1, name=product) for product in NAMES))
    crashes = Crashes(name, count)
    await live(settings, write=0 if name.startswith("sync.claim") else FACTS, failpoints=crashes)
    met = crashes.left == 0
    assert met or count == 2, "the point was never reached"
    await live(settings, write=FACTS)
    gateway = SyncGateway(settings, Clock())
    await gateway.open()
    position = await gateway.agent.position()
    assert (cloud.epoch, len(cloud.lines), cloud.chain) == (1, position.seq, position.chain)
    assert await gateway.product_names() == NAMES
    await gateway.close()
    await until(lambda: not cloud.doorbells)
