"""Orders a second with every machine busy: each customer taps again when the device has its acknowledgement."""

import asyncio
import time

from tests.benchmarks.order_bench.device import BenchDevice
from tests.benchmarks.order_bench.fleet import Fleet
from tests.benchmarks.order_bench.tap import Kiosk


async def measure(fleet: Fleet, seconds: float) -> tuple[float, list[float]]:
    """Orders brought to their end each second, and the seconds from tap to command of each."""
    begun = time.perf_counter()
    ends = begun + seconds
    customers = [_buy(fleet, device, ends) for device in fleet.devices]
    taps = [tap for taps in await asyncio.gather(*customers) for tap in taps]
    return len(taps) / (time.perf_counter() - begun), taps


async def _buy(fleet: Fleet, device: BenchDevice, ends: float) -> list[float]:
    kiosk, taps = await Kiosk.open(fleet.kiosk_port), []
    while time.perf_counter() < ends:
        _, arrived = await fleet.sell(kiosk, device)
        taps.append(arrived)
    kiosk.close()
    return taps
