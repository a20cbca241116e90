"""Facts on their way back: old ones go up first, then what was lost comes down, then anything new goes up."""

import asyncio
import math
from contextlib import suppress
from uuid import UUID

import pytest

from edge.clock import Clock, new_id
from edge.database import Transaction
from edge.settings import Settings
from edge.sync.cloud_client import CloudAway
from tests.fakes.cloud import FakeCloud, Fault
from tests.fakes.sync_gateway import SyncGateway, a_fact

SENT, UNSENT, LOST, NEW = 20, 10, 230, 5


async def stock(gateway: SyncGateway, machine_id: UUID) -> int:
    """Units in the one slot."""

    def read(tx: Transaction) -> int:
        row = tx.one("SELECT on_hand FROM stock WHERE machine_id = ?", str(machine_id))
        return row["on_hand"] if row else 0

    return await gateway.database.read(read)


async def restored(gateway: SyncGateway, settings: Settings, machine_id: UUID, *, by_hand: bool = False) -> SyncGateway:
    """A gateway whose ledger was put back to a backup from before LOST of its facts, and that has written NEW ones."""
    await gateway.agent.claim()
    await gateway.write(SENT, machine_id)
    await gateway.push.facts()
    await gateway.write(UNSENT, machine_id)
    await gateway.database.back_up()
    await gateway.write(LOST, machine_id)
    while await gateway.push.facts():
        pass
    await gateway.database.close()
    ledger = settings.state_dir / "ledger.db"
    if by_hand:
        (settings.state_dir / "ledger.backup.db").replace(ledger)
    else:
        ledger.unlink()
    back = SyncGateway(settings, Clock())
    await back.open()
    await back.write(NEW, machine_id)
    return back


async def test_up_then_down_then_up(gateway: SyncGateway, cloud: FakeCloud, settings: Settings) -> None:
    machine_id, cloud.page = new_id(), 70
    back = await restored(gateway, settings, machine_id)
    assert not await back.recall.facts(), "facts of the old epoch still wait"
    assert await back.push.facts()
    asked = cloud.requests.count("GET /v1/sync/facts")
    while await back.recall.facts():
        assert 2 not in cloud.facts, "something new was told before the recall was over"
    assert cloud.requests.count("GET /v1/sync/facts") - asked == math.ceil((UNSENT + LOST) / cloud.page)
    # The facts of this test move no stock where they are written: all there is came from the cloud.
    assert await stock(back, machine_id) == UNSENT + LOST
    while await back.push.facts():
        pass
    assert {epoch: len(lines) for epoch, lines in cloud.facts.items()} == {1: SENT + UNSENT + LOST, 2: NEW}
    await back.close()


async def test_the_agent_does_it_by_itself_through_faults(
    gateway: SyncGateway, cloud: FakeCloud, settings: Settings
) -> None:
    machine_id, cloud.page = new_id(), 50
    back = await restored(gateway, settings, machine_id)
    cloud.faults.extend([None, Fault.DOWN, None, Fault.GIBBERISH, None, Fault.HANG, None, Fault.DOWN])
    task = asyncio.create_task(back.run())
    async with asyncio.timeout(20):
        while len(cloud.facts.get(2, [])) < NEW:  # noqa: ASYNC110 - the fake has no such event
            await asyncio.sleep(0.02)
    assert await stock(back, machine_id) == UNSENT + LOST
    assert await back.database.read(back.outbox.recalling) is None
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await back.close()


async def test_a_ledger_put_back_by_hand_recalls_what_it_lacks(
    gateway: SyncGateway, cloud: FakeCloud, settings: Settings
) -> None:
    """Nobody told it: it learns from the cloud that its numbers are taken, tells its news anew, and hears the rest."""
    machine_id = new_id()
    back = await restored(gateway, settings, machine_id, by_hand=True)
    while await back.recall.facts() or await back.push.facts():
        pass
    assert {epoch: len(lines) for epoch, lines in cloud.facts.items()} == {1: SENT + UNSENT + LOST, 2: NEW}
    assert await stock(back, machine_id) == LOST
    assert (await back.agent.position()).waiting == 0
    await back.close()


async def test_a_gateway_that_was_never_told_anything_has_nothing_to_recall(
    gateway: SyncGateway, cloud: FakeCloud
) -> None:
    await gateway.agent.claim()
    assert not await gateway.recall.facts()
    await gateway.begin_epoch(2)
    while await gateway.recall.facts():
        pass
    assert await gateway.database.read(gateway.outbox.recalling) is None
    await gateway.append(a_fact())
    assert await gateway.push.facts()
    assert list(cloud.facts) == [2]


async def test_a_page_that_is_not_what_it_says_is_not_taken(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await gateway.agent.claim()
    await gateway.write(3)
    await gateway.push.facts()
    await gateway.begin_epoch(2)
    await gateway.recall.facts()
    cloud.facts[1].append(b"lost")
    cloud.page = 0
    with pytest.raises(CloudAway, match="sends nothing"):
        await gateway.recall.facts()
    recalling = await gateway.database.read(gateway.outbox.recalling)
    assert recalling is not None
    assert (recalling.epoch, recalling.seq) == (1, 3)
