"""A machine with one device in the VM, a whole gateway and the real cloud, and what its operator does there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from firmware.simulator.coil import Habits
from firmware.workbench.layout import lay_down
from firmware.workbench.releases import SOURCE, compile_app, version_of
from firmware.workbench.signing import sign
from firmware.workbench.trust import trust_file
from shared.releases import ReleaseBundle
from shared.signed import Purpose
from tests.fakes import release_key
from tests.fakes.gateway import running_gateway, settings_for
from tests.fakes.postgres_cloud import running_cloud
from tests.fakes.until import until
from tests.firmware.vm.device import VmDevice
from tests.firmware.vm.wiring import plain

FAST = Habits(speed=5)
JSON = {"Content-Type": "application/json"}


@dataclass
class Street:
    """A machine with one device, and its operator's view of it through the cloud."""

    device: VmDevice
    cloud: httpx.AsyncClient
    kiosk: httpx.AsyncClient

    async def row(self) -> dict[str, Any]:
        """What the cloud shows of the device."""
        devices = (await self.cloud.get("/v1/devices")).json()["devices"]
        return next(row for row in devices if row["device_id"] == self.device.settings["device_id"])

    async def until_row(self, seconds: float = 20, **wanted: Any) -> dict[str, Any]:
        """The row, once it says this. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not wanted.items() <= (row := await self.row()).items():  # noqa: ASYNC110 - the cloud is asked
                await asyncio.sleep(0.1)
        return row

    async def release(self, bundle: ReleaseBundle) -> str:
        """Publish it and assign it to the device; its digest."""
        published = await self.cloud.post("/v1/releases", content=bundle.to_line(), headers=JSON)
        digest = str(published.raise_for_status().json()["digest"])
        path = f"/v1/devices/{self.device.settings['device_id']}/release"
        (await self.cloud.put(path, json={"digest": digest})).raise_for_status()
        return digest

    async def buy(self, slot: str) -> str:
        """Order one unit; how its vend ended."""
        lines = [{"slot": slot, "quantity": 1}]
        wish = {"machine_id": self.device.settings["machine_id"], "planogram_version": 1, "lines": lines}
        key = {"Idempotency-Key": str(uuid4())}
        placed = (await self.kiosk.post("/kiosk/v1/orders", json=wish, headers=key)).raise_for_status().json()
        async with asyncio.timeout(20):
            while (order := await self._order(placed["order_id"]))["state"] != "settled":  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.05)
        return str(order["vends"][0]["outcome"])

    async def _order(self, order_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.kiosk.get(f"/kiosk/v1/orders/{order_id}")).raise_for_status().json()
        return found


@asynccontextmanager
async def street(folder: Path, source: Path = SOURCE) -> AsyncIterator[Street]:
    """The device has its program, of this source, by cable, and has power."""
    async with running_cloud(folder / "cloud") as cloud:
        seeded, machine = cloud.seeded, cloud.seeded.machines[0]
        about = {"claim_code": seeded.gateway_claim_code, "release_keys": [release_key.PUBLIC]}
        operator = {"Authorization": f"Bearer {seeded.api_key}"}
        async with (
            running_gateway(settings_for(folder / "gateway", cloud.url, poll_s=0.5, **about)) as (gateway, addresses),
            httpx.AsyncClient(base_url=cloud.url, headers=operator, timeout=10, trust_env=False) as http,
            httpx.AsyncClient(base_url=addresses.kiosk_url, timeout=10, trust_env=False) as kiosk,
        ):
            await until(lambda: gateway.sync.status.last_ack_at is not None)
            lay_down(folder / "app", compile_app(source), version_of(source))
            device = VmDevice(folder / "device", folder / "app", FAST, plain(FAST.speed))
            device.configure(
                machine_id=machine.machine_id,
                device_id=machine.device_id,
                ca_pem=gateway.site_ca.certificate_pem,
                gateway_port=addresses.mqtt_port,
                claim_code=machine.device_claim_code,
            )
            sign_settings(device.flash)
            try:
                await device.power_on()
                yield Street(device, http, kiosk)
            finally:
                await device.power_off()


def sign_settings(flash: Path) -> None:
    """A board that believes nobody but its owner's keys takes settings from that owner only."""
    settings, owner = flash / "settings.json", [bytes.fromhex(release_key.PUBLIC)]
    settings.write_bytes(sign(release_key.KEY, Purpose.SETTINGS, settings.read_text()))
    (flash / "trust.json").write_bytes(trust_file(owner, owner))
