"""A device in the VM at a whole gateway of the test's process: who orders there, and what there is to see."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from edge.app import Gateway
from edge.clock import new_id
from firmware.simulator.coil import Habits
from firmware.simulator.world import Witness, read_world
from shared.contract import Rail
from shared.inventory import Reason, StockInstruction
from tests.fakes.cloud import FakeCloud
from tests.fakes.cloud import running as running_cloud
from tests.fakes.gateway import DEVICE_CODE, SLOTS, running_gateway, settings_for, site_changes
from tests.fakes.until import until
from tests.firmware.vm.device import VmDevice
from tests.firmware.vm.wiring import plain

POLL_S = 0.02
PRICE_MINOR = 2000
TERMINAL = {"settled", "cancelled", "expired"}


class NotSold(Exception):
    """The gateway takes no order for this slot now; the text says why."""


class VmSite:
    """One machine with one device. Orders go one after the other, so that a motor start belongs to the last one."""

    def __init__(
        self, machine_id: UUID, cloud: FakeCloud, gateway: Gateway, http: httpx.AsyncClient, device: VmDevice
    ) -> None:
        self.machine_id = machine_id
        self.device = device
        self.cloud = cloud
        self.orders: list[str] = []
        """Every order that was acknowledged."""
        self._gateway = gateway
        self._http = http
        self._vends: dict[str, str] = {}

    async def until_online(self, seconds: float = 20) -> None:
        """Return once it is. Raises AssertionError."""
        await until(lambda: self.is_online, seconds)

    @property
    def is_online(self) -> bool:
        """Whether the gateway hears the device."""
        return self._gateway.links.online(self._device_id)

    @property
    def _device_id(self) -> UUID:
        return UUID(self.device.settings["device_id"])

    @property
    def devices_found(self) -> int:
        """How many the gateway has heard by multicast DNS."""
        discovery = self._gateway.discovery
        return 0 if discovery is None else discovery.health().devices

    async def catalogue(self) -> dict[str, Any]:
        """What the kiosk shows of the machine."""
        return await self._get(f"/kiosk/v1/machines/{self.machine_id}/catalogue")

    async def status(self) -> dict[str, Any]:
        """The gateway's ledger in figures."""
        return await self._get("/kiosk/v1/status")

    async def order(self, order_id: str) -> dict[str, Any]:
        """The order as it is now."""
        return await self._get(f"/kiosk/v1/orders/{order_id}")

    async def place(self, slot: str) -> str:
        """Order one unit; the id of the order. What the motors do from here on is done for it. Raises NotSold."""
        self.device.cabinet.label = label = f"order {len(self.orders) + 1}"
        wish = {
            "machine_id": str(self.machine_id),
            "planogram_version": 1,
            "lines": [{"slot": slot, "quantity": 1}],
        }
        placed = await self._http.post("/kiosk/v1/orders", json=wish, headers={"Idempotency-Key": str(uuid4())})
        if placed.status_code != 201:
            raise NotSold(placed.text)
        order = placed.json()
        self._vends[label] = order["vends"][0]["vend_id"]
        self.orders.append(order["order_id"])
        return str(order["order_id"])

    async def until_ended(self, order_id: str, seconds: float = 60) -> dict[str, Any]:
        """The order in a terminal state. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (order := await self.order(order_id))["state"] not in TERMINAL:
            if time.monotonic() > deadline:
                raise TimeoutError(f"order {order_id} has not ended after {seconds:.0f} s")
            await asyncio.sleep(POLL_S)
        return order

    async def insert(self, amount_minor: int, seconds: float = 20) -> None:
        """Put in coins and see them in the machine's credit. Raises TimeoutError."""
        before = (await self.catalogue())["credit_minor"]
        await until(lambda: self.device.cabinet.insert_coin(amount_minor), seconds)
        deadline = time.monotonic() + seconds
        while (await self.catalogue())["credit_minor"] < before + amount_minor:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{amount_minor} inserted, not in the credit after {seconds:.0f} s")
            await asyncio.sleep(POLL_S)

    async def visit(self, slot: str, units: int) -> None:
        """A person looks at the slot, puts so many products in and tells the cloud."""
        self.device.cabinet.restock(slot, units)
        instruction = StockInstruction(
            movement_id=new_id(), machine_id=self.machine_id, slot=slot, delta=units, reason=Reason.RESTOCK
        )
        self.cloud.change(instruction)
        moved = f'"{instruction.movement_id}"'.encode()
        await until(lambda: any(moved in line for line in self.cloud.lines), 20)

    def world(self) -> Witness:
        """What really happened, motor starts and drops by vend id."""
        seen = read_world(self.device.folder)
        return replace(seen, motor_starts=self._by_vend(seen.motor_starts), drops=self._by_vend(seen.drops))

    def _by_vend(self, counted: Counter[str]) -> Counter[str]:
        return Counter({self._vends.get(label, label): count for label, count in counted.items()})

    async def _get(self, path: str) -> dict[str, Any]:
        answer = await self._http.get(path)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def vm_site(
    folder: Path,
    app: Path,
    habits: Habits,
    rail: Rail = Rail.CASH,
    wiring: Callable[[float], dict[str, Any]] = plain,
    **gateway_settings: Any,
) -> AsyncIterator[VmSite]:
    """The gateway knows its machine, the device has its settings and no power yet. Without power it is left behind.

    `wiring` is the cabinet's (wiring.py), for the speed of its coils.
    """
    machine_id, device_id = new_id(), new_id()
    async with running_cloud(FakeCloud()) as cloud:
        cloud.change(*site_changes(machine_id, device_id, rail, habits.opening_stock))
        settings = settings_for(folder / "gateway", cloud.url, poll_s=0.5, telemetry_s=1, **gateway_settings)
        async with (
            running_gateway(settings) as (gateway, addresses),
            httpx.AsyncClient(base_url=addresses.kiosk_url, timeout=10, trust_env=False) as http,
        ):
            await until(lambda: len(cloud.lines) == len(SLOTS))
            device = VmDevice(folder / "device", app, habits, wiring(habits.speed))
            device.configure(
                machine_id=str(machine_id),
                device_id=str(device_id),
                ca_pem=gateway.site_ca.certificate_pem,
                gateway_port=addresses.mqtt_port,
                claim_code=DEVICE_CODE,
            )
            try:
                yield VmSite(machine_id, cloud, gateway, http, device)
            finally:
                await device.power_off()
