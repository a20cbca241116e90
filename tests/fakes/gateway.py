"""A whole gateway in the test's process, on free ports of loopback, and what its cloud would tell it of its site."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from edge.app import Addresses, Gateway
from edge.clock import Clock, new_id
from edge.settings import Settings
from shared.catalog import MachineVersion, PlanogramSlot, PlanogramVersion, ProductVersion
from shared.contract import Message, Rail
from shared.devices import ExpectedDevice
from shared.inventory import Reason, StockInstruction
from tests.fakes.cloud import CODE

DEVICE_CODE = "device-claim-code-0123456789abcdef"
SLOTS = ("A1", "A2")


def settings_for(folder: Path, cloud_url: str, **others: Any) -> Settings:
    """Settings of a gateway that waits for nothing longer than a test does."""
    return Settings.model_validate(
        {
            "state_dir": folder,
            "kiosk_port": 0,
            "mqtt_port": 0,
            "cloud_url": cloud_url,
            "claim_code": CODE,
            "cloud_timeout_s": 2,
            "backoff_first_s": 0.05,
            "backoff_limit_s": 0.5,
            **others,
        }
    )


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[tuple[Gateway, Addresses]]:
    """Ready inside, stopped after. When it dies meanwhile, that is raised after the body."""
    gateway, stop = Gateway(settings, Clock()), asyncio.Event()
    ready: asyncio.Queue[Addresses] = asyncio.Queue()
    task = asyncio.create_task(gateway.run(stop, ready.put_nowait), name="gateway")
    task.add_done_callback(lambda _: first.cancel())
    first = asyncio.create_task(ready.get(), name="first address")
    try:
        await asyncio.wait({first})
        if first.cancelled():
            await task
        yield gateway, first.result()
    finally:
        stop.set()
        await task


def site_changes(machine_id: UUID, device_id: UUID, rail: Rail = Rail.FREE, opening: int = 10) -> list[Message]:
    """One machine with one product in all its slots, one expected device, and its opening stock."""
    now, product_id = Clock().now(), new_id()
    slots = tuple(
        PlanogramSlot(
            slot=slot, product_id=product_id, device_id=device_id, price_minor=2000, capacity=500, par_level=5
        )
        for slot in SLOTS
    )
    return [
        MachineVersion(machine_id=machine_id, version=1, name="Snacks", rail=rail, currency="INR", in_service=True),
        ProductVersion(product_id=product_id, version=1, name="Salted peanuts"),
        PlanogramVersion(machine_id=machine_id, version=1, effective_at=now - timedelta(days=1), slots=slots),
        ExpectedDevice(
            device_id=device_id,
            machine_id=machine_id,
            name="left cabinet",
            claim_code_sha256=hashlib.sha256(DEVICE_CODE.encode()).hexdigest(),
            claim_expires_at=now + timedelta(hours=1),
        ),
        *(
            StockInstruction(
                movement_id=new_id(), machine_id=machine_id, slot=slot, delta=opening, reason=Reason.OPENING
            )
            for slot in SLOTS
        ),
    ]
