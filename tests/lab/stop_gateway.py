"""R21 at the gateway: told to stop in the middle of everything, it is out within 5 s and ready again within 3 s.

python -m tests.lab.stop_gateway [--times N] [--full]

The real program is stopped with an order and a catalogue followed, the doorbell connected, and a vend under way
on a device behind TLS. Started again, it settles that vend by the device's report.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from edge.clock import new_id
from edge.site_ca import SiteCa
from tests.fakes.cloud import FakeCloud, running
from tests.fakes.gateway import DEVICE_CODE, SLOTS, site_changes
from tests.fakes.mqtt_device import MqttDevice
from tests.fakes.until import until

STOP_S = 5.0
READY_S = 3.0


@dataclass
class Report:
    """Seconds, one entry a stop; and what became of the orders and the motor."""

    stop_s: list[float] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    orders: dict[str, int] = field(default_factory=dict)
    starts: Counter[str] = field(default_factory=Counter)
    facts_equal: bool = False

    @property
    def good(self) -> bool:
        """Every stop and start in time, every order settled with one motor start, no fact lost."""
        in_time = max(self.stop_s) <= STOP_S and max(self.ready_s) <= READY_S and set(self.statuses) == {0}
        settled = self.orders == {"settled": len(self.stop_s)} and set(self.starts.values()) == {1}
        return in_time and settled and self.facts_equal

    def __str__(self) -> str:
        return (
            f"{len(self.stop_s)} stops: out after {max(self.stop_s):.2f} s at most, ready again after "
            f"{max(self.ready_s):.2f} s at most, statuses {dict(self.statuses)}, orders {self.orders}, "
            f"{sum(self.starts.values())} motor starts for {len(self.starts)} vends, "
            f"facts {'equal' if self.facts_equal else 'DIFFERENT'} in the cloud"
        )


class Program:
    """`python -m edge` as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.kiosk_url, self.mqtt_port = "", 0

    async def wait_until_ready(self) -> None:
        """Read its log up to the line that tells its addresses; the rest is read and thrown away."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line) if line.startswith(b"{") else {}
            if event.get("event") == "ready":
                self.kiosk_url, self.mqtt_port = event["kiosk_url"], event["mqtt_port"]
                return
        raise AssertionError("it ended before it was ready")


@asynccontextmanager
async def program(folder: Path, cloud_url: str, code: str) -> AsyncIterator[Program]:
    """Running inside. Killed after, if it still runs."""
    settings = {
        "STATE_DIR": str(folder),
        "CLOUD_URL": cloud_url,
        "CLAIM_CODE": code,
        "KIOSK_PORT": "0",
        "MQTT_PORT": "0",
        "BACKOFF_FIRST_S": "0.1",
        "LOG_LEVEL": "info",
    }
    environment = {**os.environ, **{f"LARDER_GATEWAY_{name}": value for name, value in settings.items()}}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge", env=environment, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    try:
        yield Program(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


class Lab:
    """One site, stopped and started many times."""

    def __init__(self, folder: Path, cloud: FakeCloud) -> None:
        self.folder, self.cloud, self.report = folder, cloud, Report()
        self.machine_id = new_id()
        self.device = MqttDevice(self.machine_id, new_id(), frozenset(SLOTS))
        self.device.fake.slow = True
        cloud.change(*site_changes(self.machine_id, self.device.fake.device_id, opening=1000))

    async def run(self, times: int) -> Report:
        """Stop and start so many times, then let everything settle and compare."""
        for number in range(times):
            await self._stop_in_the_middle(first=number == 0)
        async with program(self.folder, self.cloud.url, self.cloud.code) as gateway:
            await gateway.wait_until_ready()
            await self._settle_last_vend(gateway)
            await self._compare(gateway)
        self.report.starts = self.device.fake.starts
        return self.report

    async def _stop_in_the_middle(self, *, first: bool) -> None:
        begin = time.monotonic()
        async with program(self.folder, self.cloud.url, self.cloud.code) as gateway:
            await gateway.wait_until_ready()
            self.report.ready_s.append(time.monotonic() - begin)
            if first:
                await self._claim_device(gateway)
                await self.device.connect(gateway.mqtt_port, self._ca_pem())
            else:
                await self._settle_last_vend(gateway)
            async with httpx.AsyncClient(base_url=gateway.kiosk_url, timeout=10) as http:
                order_id = await self._order(http)
                urls = [f"/kiosk/v1/orders/{order_id}/events", f"/kiosk/v1/machines/{self.machine_id}/events"]
                shown = [asyncio.Event() for _ in urls]
                pages = [asyncio.create_task(_follow(http, *page)) for page in zip(urls, shown, strict=True)]
                await asyncio.gather(*(event.wait() for event in shown))
                await until(lambda: bool(self.device.fake.journal.vends) and bool(self.cloud.doorbells))
                await self._stop(gateway)
                await asyncio.gather(*pages)
            await self.device.disconnect()

    async def _stop(self, gateway: Program) -> None:
        begin = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        await gateway.process.communicate()
        self.report.stop_s.append(time.monotonic() - begin)
        self.report.statuses[gateway.process.returncode or 0] += 1

    async def _claim_device(self, gateway: Program) -> None:
        await until(lambda: len(self.cloud.lines) == len(SLOTS))
        await self.device.claim(gateway.mqtt_port, self._ca_pem(), DEVICE_CODE)

    async def _settle_last_vend(self, gateway: Program) -> None:
        """The device went on while the gateway was away; it reports when it is back."""
        await self.device.fake.turn()
        await self.device.connect(gateway.mqtt_port, self._ca_pem())
        await until(lambda: not self.device.fake.journal.vends)

    async def _order(self, http: httpx.AsyncClient) -> UUID:
        lines = [{"slot": SLOTS[0], "quantity": 1}]
        wish = {"machine_id": str(self.machine_id), "planogram_version": 1, "lines": lines}
        for _ in range(100):
            placed = await http.post("/kiosk/v1/orders", json=wish, headers={"Idempotency-Key": str(uuid4())})
            if placed.status_code == 201:
                return UUID(placed.json()["order_id"])
            await asyncio.sleep(0.02)  # the device has only just said hello
        raise AssertionError(placed.text)

    async def _compare(self, gateway: Program) -> None:
        async with httpx.AsyncClient(base_url=gateway.kiosk_url) as http:
            for _ in range(200):
                status = (await http.get("/kiosk/v1/status")).json()
                if status["facts"]["waiting"] == 0:
                    break
                await asyncio.sleep(0.05)
        self.report.orders = status["orders"]
        facts = status["facts"]
        self.report.facts_equal = (facts["seq"], facts["chain"]) == (len(self.cloud.lines), self.cloud.chain.hex())

    def _ca_pem(self) -> str:
        return SiteCa.open(self.folder / "site-ca").certificate_pem


async def _follow(http: httpx.AsyncClient, url: str, shown: asyncio.Event) -> None:
    """Read a stream to its proper end."""
    async with http.stream("GET", url) as response:
        async for _ in response.aiter_raw():
            shown.set()


async def run(times: int, folder: Path) -> Report:
    """The lab in `folder`."""
    async with running(FakeCloud()) as cloud:
        return await Lab(folder, cloud).run(times)


def main() -> None:
    parser = argparse.ArgumentParser(description="The gateway told to stop in the middle of everything (R21).")
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--full", action="store_true", help="1,000 times")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(1_000 if chosen.full else chosen.times, Path(folder)))
    print(report)
    sys.exit(not report.good)


if __name__ == "__main__":
    main()
