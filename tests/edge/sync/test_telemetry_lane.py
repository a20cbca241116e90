"""Telemetry on its way up: the newest only, and never in the way of facts."""

from uuid import UUID

import pytest

from edge.clock import Moment, new_id
from shared.devices import DeviceHealth
from tests.fakes.cloud import FakeCloud
from tests.fakes.sync_gateway import SyncGateway
from tests.fakes.until import until


async def keep(gateway: SyncGateway, device_id: UUID, minute: int, uptime_s: int) -> None:
    sample = DeviceHealth(
        device_id=device_id,
        machine_id=device_id,
        at=gateway.clock.now(),
        firmware="1",
        uptime_s=uptime_s,
        free_bytes=None,
        rssi_dbm=None,
        journal_bytes=None,
    )
    at = Moment(gateway.clock.boot_id, 60_000 * minute)
    await gateway.database.unit("test.keep", lambda tx: gateway.telemetry.keep(tx, str(device_id), at, sample))


async def test_one_sample_a_minute_arrives(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await gateway.agent.claim()
    device_id = new_id()
    await keep(gateway, device_id, 1, uptime_s=10)
    await keep(gateway, device_id, 1, uptime_s=20)
    await keep(gateway, device_id, 2, uptime_s=70)
    assert await gateway.push.samples() is True
    assert [sample.uptime_s for message in cloud.telemetry for sample in message.samples] == [20, 70]
    assert await gateway.push.samples() is False


async def test_telemetry_waits_for_its_acknowledgement(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await gateway.agent.claim()
    await keep(gateway, new_id(), 1, uptime_s=10)
    await gateway.push.samples()
    await gateway.push.samples()
    assert len(cloud.telemetry) == 1


@pytest.mark.usefixtures("started")
async def test_the_agent_sends_it(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await keep(gateway, new_id(), 1, uptime_s=10)
    await until(lambda: len(cloud.telemetry) == 1)
