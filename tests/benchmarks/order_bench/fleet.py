"""The gateway under measurement, as a real process, with its cloud and ten machines of one device each."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from edge.clock import Clock, new_id
from edge.site_ca import SiteCa
from shared.catalog import MachineVersion, PlanogramSlot, PlanogramVersion, ProductVersion
from shared.contract import Message, Rail
from shared.devices import ExpectedDevice
from shared.inventory import Reason, StockInstruction
from tests.benchmarks.order_bench.device import BenchDevice
from tests.benchmarks.order_bench.tap import Kiosk
from tests.fakes.cloud import CODE
from tests.system.processes import Process
from tests.system.stage import ANY, choose_ports

MACHINES = 10
SLOTS = tuple(f"{row}{number}" for row in "ABCD" for number in range(1, 7))
OPENING = 1000
DEVICE_CODE = "bench-device-claim-code-0123456789"
START_S = 30.0
VEND_S = 10.0
CREATED = 201


class Fleet:
    """`folder` keeps the gateway's state, on the disk whose commits are the floor. All machines are free of charge."""

    def __init__(self, folder: Path) -> None:
        ports = choose_ports(ANY)
        self.folder = folder
        self.state = folder / "gateway"
        self.mqtt_port, self.kiosk_port = ports.mqtt, ports.kiosk
        cloud = "tests.benchmarks.order_bench.fleet_cloud"
        self.changes = folder / "changes.json"
        self.cloud = Process("cloud", folder / "log/cloud.log", cloud, str(self.changes), str(ports.cloud))
        self.gateway = Process(
            "gateway",
            folder / "log/gateway.log",
            "edge",
            environment={
                "LARDER_GATEWAY_STATE_DIR": str(self.state),
                "LARDER_GATEWAY_KIOSK_PORT": str(ports.kiosk),
                "LARDER_GATEWAY_MQTT_PORT": str(ports.mqtt),
                "LARDER_GATEWAY_CLOUD_URL": f"http://127.0.0.1:{ports.cloud}",
                "LARDER_GATEWAY_CLAIM_CODE": CODE,
                "LARDER_GATEWAY_MDNS_INTERFACES": "127.0.0.1",
                "LARDER_GATEWAY_BACKOFF_LIMIT_S": "2",
            },
        )
        self.devices = [BenchDevice(new_id(), new_id(), frozenset(SLOTS)) for _ in range(MACHINES)]
        self._sales = 0

    @property
    def ca_pem(self) -> str:
        """The site's certificate authority."""
        return SiteCa.open(self.state / "site-ca").certificate_pem

    async def claim(self) -> None:
        """Have the cloud tell the gateway of its machines, and each device claim itself. Raises ProcessFailed."""
        self.changes.write_text(json.dumps([one.model_dump(mode="json") for one in self._changes()]))
        self.cloud.start()
        await self.cloud.said("ready", START_S)
        self.gateway.start()
        await self.gateway.said("ready", START_S)
        for device in self.devices:
            async with asyncio.timeout(START_S):
                await self._claim(device)
            await device.return_to(self.mqtt_port, self.ca_pem)

    async def sell(self, kiosk: Kiosk, device: BenchDevice) -> tuple[float, float]:
        """One order from tap to acknowledged outcome: seconds until the HTTP answer, and until the command came."""
        self._sales += 1
        slot = SLOTS[self._sales // MACHINES % len(SLOTS)]
        left, status, order = await kiosk.order(device.fake.machine_id, slot)
        answered = time.perf_counter() - left
        assert status == CREATED, order
        vend_id = order["vends"][0]["vend_id"]
        async with asyncio.timeout(VEND_S):
            while await device.fake.ended.get() != vend_id:
                pass
        return answered, device.fake.arrived.pop(vend_id) - left

    async def until_quiet(self) -> int:
        """Wait until the cloud has every fact; how many orders have ended."""
        kiosk = await Kiosk.open(self.kiosk_port)
        async with asyncio.timeout(60):
            while True:
                status = await kiosk.status()
                if not status["facts"]["waiting"]:
                    break
                await asyncio.sleep(0.2)
        kiosk.close()
        return int(status["orders"].get("settled", 0))

    async def _claim(self, device: BenchDevice) -> None:
        while True:
            try:
                return await device.claim(self.mqtt_port, self.ca_pem, DEVICE_CODE)
            except (OSError, EOFError, AssertionError):
                await device.disconnect()  # the gateway has not heard of it yet
                await asyncio.sleep(0.1)

    def _changes(self) -> list[Message]:
        return [change for device in self.devices for change in _machine(device.fake.machine_id, device.fake.device_id)]


@asynccontextmanager
async def running_fleet(folder: Path) -> AsyncIterator[Fleet]:
    """Claimed and connected inside, with heartbeats; stopped after."""
    fleet = Fleet(folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(fleet.cloud.stop)
        stack.push_async_callback(fleet.gateway.stop)
        await fleet.claim()
        lives = [asyncio.create_task(device.live(), name="heartbeat") for device in fleet.devices]
        for device, life in zip(fleet.devices, lives, strict=True):
            stack.push_async_callback(device.disconnect)
            stack.callback(life.cancel)
        yield fleet


def _machine(machine_id: UUID, device_id: UUID) -> list[Message]:
    """One free machine, a product in every slot, one device, and its opening stock."""
    now, product_id = Clock().now(), new_id()
    slots = tuple(
        PlanogramSlot(
            slot=slot, product_id=product_id, device_id=device_id, price_minor=2000, capacity=OPENING, par_level=5
        )
        for slot in SLOTS
    )
    expected = ExpectedDevice(
        device_id=device_id,
        machine_id=machine_id,
        name="cabinet",
        claim_code_sha256=hashlib.sha256(DEVICE_CODE.encode()).hexdigest(),
        claim_expires_at=now + timedelta(hours=1),
    )
    return [
        MachineVersion(machine_id=machine_id, version=1, name="M", rail=Rail.FREE, currency="INR", in_service=True),
        ProductVersion(product_id=product_id, version=1, name="Salted peanuts"),
        PlanogramVersion(machine_id=machine_id, version=1, effective_at=now - timedelta(days=1), slots=slots),
        expected,
        *(
            StockInstruction(
                movement_id=new_id(), machine_id=machine_id, slot=slot, delta=OPENING, reason=Reason.OPENING
            )
            for slot in SLOTS
        ),
    ]
