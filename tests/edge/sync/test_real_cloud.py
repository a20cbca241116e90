"""The gateway and the cloud as they are, with nothing faked but the device: they mean the same by what they say."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from edge.app import Addresses, Gateway
from shared.sync import CHAIN_START, link
from tests.fakes.gateway import running_gateway, settings_for
from tests.fakes.mqtt_device import MqttDevice
from tests.fakes.postgres_cloud import PostgresCloud, running_cloud
from tests.fakes.until import until

SLOTS = frozenset(f"A{number}" for number in range(1, 7))


async def connect(gateway: Gateway, addresses: Addresses, cloud: PostgresCloud) -> MqttDevice:
    """Claim the first machine's device by the code that the cloud gave out."""
    machine = cloud.seeded.machines[0]
    device = MqttDevice(UUID(machine.machine_id), UUID(machine.device_id), SLOTS)
    ca_pem = gateway.site_ca.certificate_pem
    await device.claim(addresses.mqtt_port, ca_pem, machine.device_claim_code)
    await device.connect(addresses.mqtt_port, ca_pem)
    await until(lambda: gateway.links.online(device.fake.device_id))
    return device


async def settled(http: httpx.AsyncClient, wish: dict[str, object]) -> None:
    """Place an order and follow it to its end."""
    placed = await http.post("/kiosk/v1/orders", json=wish, headers={"Idempotency-Key": str(uuid4())})
    assert placed.status_code == 201, placed.text
    events = await http.get(f"/kiosk/v1/orders/{placed.json()['order_id']}/events")
    assert '"state":"settled"' in events.text


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("8.3")
async def test_from_the_claim_to_equal_books(tmp_path: Path) -> None:
    async with running_cloud(tmp_path / "cloud") as cloud:
        settings = settings_for(tmp_path / "gateway", cloud.url, claim_code=cloud.seeded.gateway_claim_code)
        async with (
            running_gateway(settings) as (gateway, addresses),
            httpx.AsyncClient(base_url=addresses.kiosk_url, timeout=10) as http,
        ):
            await until(lambda: gateway.sync.status.last_ack_at is not None)
            device = await connect(gateway, addresses, cloud)
            machine = cloud.seeded.machines[0].machine_id
            lines = [{"slot": "A1", "quantity": 2}, {"slot": "A2", "quantity": 1}]
            await settled(http, {"machine_id": machine, "planogram_version": 1, "lines": lines})
            while (position := await gateway.sync.position()).waiting:  # noqa: ASYNC110 - the agent has no such event
                await asyncio.sleep(0.02)
            status = (await http.get("/kiosk/v1/status")).json()
            await device.disconnect()
        chain = CHAIN_START
        for _, line in await cloud.lines():
            chain = link(chain, line)
        assert chain == await cloud.chain() == position.chain
        assert await cloud.dead_letters() == 0
        stock = await cloud.stock(machine)
        assert stock == status["stock"][machine]
        assert (stock["A1"], stock["A2"], stock["A3"]) == (8, 9, 10)
        assert sum(device.fake.starts.values()) == 3
