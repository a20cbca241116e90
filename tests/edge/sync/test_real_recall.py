"""The ledger is lost with all since its backup; the real cloud tells it again, and both have the same books."""

import asyncio
from functools import reduce
from pathlib import Path
from typing import Any
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


class Visit:
    """A person at the kiosk of a running gateway."""

    def __init__(self, gateway: Gateway, addresses: Addresses, machine_id: str) -> None:
        self.gateway = gateway
        self.machine_id = machine_id
        self.http = httpx.AsyncClient(base_url=addresses.kiosk_url, timeout=10)

    async def order(self, *slots: str) -> str:
        """Order one unit of each slot; the order's id."""
        lines = [{"slot": slot, "quantity": 1} for slot in slots]
        wish = {"machine_id": self.machine_id, "planogram_version": 1, "lines": lines}
        placed = await self.http.post("/kiosk/v1/orders", json=wish, headers={"Idempotency-Key": str(uuid4())})
        assert placed.status_code == 201, placed.text
        return str(placed.json()["order_id"])

    async def settled(self, order_id: str) -> None:
        """Follow an order to its end."""
        async with asyncio.timeout(20):
            events = await self.http.get(f"/kiosk/v1/orders/{order_id}/events")
        assert '"state":"settled"' in events.text

    async def stock(self) -> dict[str, int]:
        """Units by slot, as the gateway says."""
        status: dict[str, Any] = (await self.http.get("/kiosk/v1/status")).json()
        stock: dict[str, int] = status["stock"][self.machine_id]
        return stock

    async def synced(self) -> None:
        """Return once the cloud has all there is."""
        while (await self.gateway.sync.position()).waiting:  # noqa: ASYNC110 - the agent has no such event
            await asyncio.sleep(0.02)


def damage(folder: Path) -> None:
    """What a dying card leaves of the ledger."""
    (folder / "ledger.db").write_bytes(b"\0" * 10_000)
    (folder / "ledger.db-wal").unlink(missing_ok=True)


async def before(cloud: PostgresCloud, settings: Any, device: MqttDevice) -> tuple[str, str]:
    """Sell, back up, sell on, and be cut off in the middle of a vend; that order, and the pem of the site."""
    machine = cloud.seeded.machines[0]
    async with running_gateway(settings) as (gateway, addresses):
        ca_pem = gateway.site_ca.certificate_pem
        await until(lambda: gateway.sync.status.last_ack_at is not None)
        await device.claim(addresses.mqtt_port, ca_pem, machine.device_claim_code)
        await device.connect(addresses.mqtt_port, ca_pem)
        await until(lambda: gateway.links.online(device.fake.device_id))
        visit = Visit(gateway, addresses, machine.machine_id)
        await visit.settled(await visit.order("A1"))
        await gateway.database.back_up()
        for slot in ("A1", "A2", "A3"):
            await visit.settled(await visit.order(slot))
        device.fake.slow = True
        under_way = await visit.order("A4")
        await until(lambda: bool(device.fake.heard) and device.fake.heard.count("dispense") == 5)
        await device.fake.start()
        await visit.synced()
        await visit.http.aclose()
        await device.disconnect()
    return under_way, ca_pem


@pytest.mark.criterion("8.1")
@pytest.mark.criterion("8.3")
async def test_a_lost_ledger_and_the_cloud_agree_again(tmp_path: Path) -> None:
    async with running_cloud(tmp_path / "cloud") as cloud:
        settings = settings_for(tmp_path / "gateway", cloud.url, claim_code=cloud.seeded.gateway_claim_code)
        machine = cloud.seeded.machines[0]
        device = MqttDevice(UUID(machine.machine_id), UUID(machine.device_id), SLOTS)
        under_way, ca_pem = await before(cloud, settings, device)
        damage(tmp_path / "gateway")
        async with running_gateway(settings) as (gateway, addresses):
            visit = Visit(gateway, addresses, machine.machine_id)
            await device.connect(addresses.mqtt_port, ca_pem)
            await device.fake.turn()
            while await gateway.database.read(gateway.outbox.recalling):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
            await device.fake.report_open()
            await visit.settled(under_way)
            device.fake.slow = False
            await until(lambda: gateway.links.online(device.fake.device_id))
            await visit.settled(await visit.order("A5"))
            await visit.synced()
            position = await gateway.sync.position()
            assert position.epoch == 2
            stock = await visit.stock()
            await visit.http.aclose()
            await device.disconnect()
        assert await cloud.dead_letters() == 0
        assert stock == await cloud.stock(machine.machine_id)
        assert {slot: stock[slot] for slot in sorted(SLOTS)} == {"A1": 8, "A2": 9, "A3": 9, "A4": 9, "A5": 9, "A6": 10}
        new = [line for epoch, line in await cloud.lines() if epoch == 2]
        assert reduce(link, new, CHAIN_START) == await cloud.chain() == position.chain
        assert list(device.fake.starts.values()) == [1] * 6
