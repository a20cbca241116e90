"""What the gateway takes of its machine: memory, idle CPU, and time until it sells."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.order_bench.fleet import CREATED, SLOTS, START_S, Fleet
from tests.benchmarks.order_bench.tap import Kiosk
from tests.system.processes import ROOT

LIBRARIES = (
    "aiosqlite, amqtt.broker, httpx, hypercorn.asyncio, joserfc.jws, pydantic, quart, structlog, zeroconf.asyncio"
)
RETRY_S = 0.02


def memory_mb(pid: int) -> float:
    """Resident set, in units of 1,000,000 bytes."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


async def idle_cpu_percent(pid: int, seconds: float) -> float:
    """Of one core."""
    before, begun = _cpu_s(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    return 100 * (_cpu_s(pid) - before) / (time.perf_counter() - begun)


def libraries() -> tuple[float, float]:
    """A bare interpreter that imports what the gateway is built on: its memory in MB, and the seconds it takes."""
    program = f"import {LIBRARIES}; print(open('/proc/self/status').read().partition('VmRSS:')[2].split()[0])"
    begun = time.perf_counter()
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True)
    return int(said.stdout) * 1024 / 1e6, time.perf_counter() - begun


async def first_sale_s(fleet: Fleet) -> float:
    """From starting the program, with its ledger as it is, until an acknowledged order's command is on the device."""
    await fleet.gateway.stop()
    device, ca_pem = fleet.devices[0], fleet.ca_pem
    begun = time.perf_counter()
    fleet.gateway.start()
    returns = [asyncio.create_task(one.return_to(fleet.mqtt_port, ca_pem), name="return") for one in fleet.devices]
    async with asyncio.timeout(START_S):
        vend_id = await _first_order(fleet)
        acknowledged = time.perf_counter()
        while await device.fake.ended.get() != vend_id:
            pass
    await asyncio.gather(*returns)
    return max(acknowledged, device.fake.arrived.pop(vend_id)) - begun


async def _first_order(fleet: Fleet) -> str:
    """The vend of the first order that is taken."""
    while True:
        try:
            kiosk = await Kiosk.open(fleet.kiosk_port)
        except OSError:
            await asyncio.sleep(RETRY_S)
            continue
        while True:
            _, status, order = await kiosk.order(fleet.devices[0].fake.machine_id, SLOTS[-1])
            if status == CREATED:
                kiosk.close()
                return str(order["vends"][0]["vend_id"])
            await asyncio.sleep(RETRY_S)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
