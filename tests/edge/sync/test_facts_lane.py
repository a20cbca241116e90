"""Facts on their way up: each once, in order, whatever the cloud or the line does."""

import asyncio
import hashlib
import json
from datetime import timedelta
from functools import reduce

import pytest

from edge.clock import Clock
from edge.settings import Settings
from shared.contract import ClockQuality
from shared.sync import CHAIN_START, link
from tests.fakes.cloud import FakeCloud, Fault
from tests.fakes.sync_gateway import SyncGateway
from tests.fakes.until import until


async def drained(gateway: SyncGateway, cloud: FakeCloud) -> None:
    """Returns once nothing waits; then both sides must hold the same chain."""
    for _ in range(1000):
        position = await gateway.agent.position()
        if not position.waiting:
            break
        await asyncio.sleep(0.02)
    assert position.waiting == 0
    chain = CHAIN_START
    for line in cloud.facts.get(position.epoch, []):
        chain = link(chain, line)
    assert (position.epoch, position.seq, position.chain) == (cloud.epoch, len(cloud.facts[cloud.epoch]), chain)
    assert position.acked_chain == chain == cloud.chain


@pytest.mark.usefixtures("started")
async def test_facts_arrive_as_they_were_hashed(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await gateway.write(1200)
    written = [hashlib.sha256(line).digest() for line in await gateway.lines()]
    await drained(gateway, cloud)
    arrived = [hashlib.sha256(line).digest() for line in cloud.lines]
    assert arrived[len(arrived) - len(written) :] == written
    assert len(arrived) == 1200
    assert gateway.agent.status.online
    assert gateway.agent.status.last_ack_at is not None


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("fault", list(Fault))
async def test_each_fault_is_got_over(gateway: SyncGateway, cloud: FakeCloud, fault: Fault) -> None:
    await until(lambda: "GET /v1/sync/changes" in cloud.requests)
    cloud.faults.extend([fault, None, fault])
    await gateway.write(30)
    await drained(gateway, cloud)
    assert len(cloud.lines) == 30


@pytest.mark.usefixtures("started")
async def test_facts_wait_while_the_cloud_is_away(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await until(lambda: cloud.public_key is not None)
    cloud.faults.extend([Fault.DOWN] * 12)
    await gateway.write(20)
    await until(lambda: not gateway.agent.status.online)
    assert "503" in gateway.agent.status.last_error
    assert (await gateway.agent.position()).waiting == 20
    await drained(gateway, cloud)
    await until(lambda: gateway.agent.status.online and not gateway.agent.status.last_error)


async def test_a_standing_watermark_is_noticed(gateway: SyncGateway, cloud: FakeCloud, started: object) -> None:
    """Every request succeeds, yet nothing is acknowledged: the link is built anew, and goes on once the cloud does."""
    del started
    await until(lambda: "GET /v1/sync/changes" in cloud.requests)
    cloud.faults.extend([Fault.STUCK] * 100_000)
    await gateway.write(5)
    await until(lambda: gateway.agent.status.stalls > 0)
    cloud.faults.clear()
    await drained(gateway, cloud)
    assert len(cloud.lines) == 5


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("watchdog_s", [0.2])
async def test_a_cloud_that_asks_for_patience_is_given_it(gateway: SyncGateway, cloud: FakeCloud) -> None:
    """It asks for more than the watchdog's own; that is no stall."""
    # The first request for changes, and the one the doorbell asks for: neither must meet the fault instead.
    await until(lambda: cloud.requests.count("GET /v1/sync/changes") == 2)
    cloud.faults.append(Fault.BUSY)
    await gateway.write(5)
    await drained(gateway, cloud)
    assert gateway.agent.status.stalls == 0
    assert cloud.requests.count("POST /v1/sync/facts") == 2


@pytest.mark.usefixtures("started")
async def test_a_restored_ledger_goes_on_in_a_new_epoch(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await gateway.write(40)
    await drained(gateway, cloud)
    await gateway.begin_epoch(2)
    await gateway.write(10)
    await drained(gateway, cloud)
    assert {epoch: len(lines) for epoch, lines in cloud.facts.items()} == {1: 40, 2: 10}


async def test_a_ledger_put_back_by_hand_goes_on_in_a_new_epoch(
    gateway: SyncGateway, cloud: FakeCloud, settings: Settings
) -> None:
    """Unnoticed at boot, for its epoch was put back too: it uses numbers again that the cloud has filled."""
    await gateway.agent.claim()
    await gateway.write(10)
    await gateway.push.facts()
    await gateway.write(6)
    await gateway.database.back_up()
    await gateway.write(20)
    await gateway.push.facts()
    await gateway.database.close()
    (settings.state_dir / "ledger.backup.db").replace(settings.state_dir / "ledger.db")
    back = SyncGateway(settings, Clock())
    await back.open()
    await back.write(5)
    new = [json.loads(line)["body"] for line in (await back.lines())[6:]]
    while await back.push.facts():
        pass
    assert {epoch: len(lines) for epoch, lines in cloud.facts.items()} == {1: 36, 2: 5}
    assert [json.loads(line)["body"] for line in cloud.facts[2]] == new
    assert (await back.agent.position()).waiting == 0
    await back.close()


@pytest.mark.parametrize("written_since", [0, 3])
async def test_a_ledger_behind_the_cloud_begins_a_new_epoch(
    gateway: SyncGateway, cloud: FakeCloud, written_since: int
) -> None:
    """Facts that the cloud has are freed, and only those."""
    await gateway.agent.claim()
    await gateway.write(10)
    lines = await gateway.lines()
    cloud.epoch, cloud.facts[1] = 1, [*lines, b"forgotten 1", b"forgotten 2", b"forgotten 3", b"forgotten 4"]
    await gateway.write(written_since)
    while await gateway.push.facts():
        pass
    assert len(cloud.facts.get(2, [])) == written_since
    assert (await gateway.agent.position()).epoch == 2


async def test_a_cloud_that_went_back_is_told_the_rest_in_a_new_epoch(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await gateway.agent.claim()
    await gateway.write(10)
    await gateway.push.facts()
    del cloud.facts[1][6:]
    cloud.chain = reduce(link, cloud.facts[1], CHAIN_START)
    await gateway.write(4)
    while await gateway.push.facts():
        pass
    assert {epoch: len(lines) for epoch, lines in cloud.facts.items()} == {1: 6, 2: 4}


@pytest.mark.usefixtures("started")
async def test_a_wrong_clock_is_set_by_the_cloud(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await until(lambda: cloud.public_key is not None)
    cloud.clock_offset -= cloud.now() - cloud.now().replace(year=1996)
    await gateway.write(5)
    await drained(gateway, cloud)
    assert gateway.clock.quality is ClockQuality.SYNCED
    assert abs((gateway.clock.now() - cloud.now()).total_seconds()) < 3


async def test_a_token_that_ran_out_while_the_machine_slept_is_signed_anew(
    gateway: SyncGateway, cloud: FakeCloud
) -> None:
    """Wall time went on, the monotonic clock did not: the gateway believes in its token, the cloud does not."""
    await gateway.agent.claim()
    await gateway.write(1)
    await gateway.push.facts()
    cloud.clock_offset += timedelta(minutes=10)
    gateway.clock.learn(cloud.now(), 0)
    await gateway.write(1)
    assert await gateway.push.facts() is True
    assert len(cloud.lines) == 2


async def test_a_revoked_gateway_keeps_its_facts(gateway: SyncGateway, cloud: FakeCloud, started: object) -> None:
    del started
    await until(lambda: cloud.public_key is not None)
    cloud.revoked = True
    await gateway.write(5)
    await until(lambda: "gateway_revoked" in gateway.agent.status.last_error)
    assert (await gateway.agent.position()).waiting == 5
    cloud.revoked = False
    await drained(gateway, cloud)
