"""A board without settings on this PC, its page on a free port of loopback, and its gateway behind the real guard."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from firmware.simulator.micropython import add_missing_calls
from firmware.simulator.setup import SimulatedSetupBoard
from firmware.vending.clock import Clock
from firmware.vending.label import load_or_make
from firmware.vending.provisioning import Provisioning
from tests.fakes.device_site import DeviceSite, device_site
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.settings_key import OperatorKey
from tests.fakes.until import until

NETWORKS = {"Site 7": "the site's password"}
WIFI = {"ssid": "Site 7", "password": "the site's password"}


class AheadClock(Clock):
    """Goes on as ever, from where `time_ms` puts it."""

    time_ms = 0

    def ms(self) -> int:
        return super().ms() + self.time_ms


class SetupSite:
    """`key` is whom the board trusts."""

    def __init__(self, site: DeviceSite, refused: str) -> None:
        self.key = OperatorKey()
        self.site = site
        self.flash = MemoryFlash({"trust.json": self.key.trust})
        self.board = SimulatedSetupBoard(NETWORKS)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.clock = AheadClock()
        setup = Provisioning(self.board, self.flash, load_or_make(self.flash), refused, self.clock)
        self.running = asyncio.create_task(setup.run(self.port), name="set-up")

    def values(self, **others: Any) -> dict[str, Any]:
        """Settings that are right."""
        right: dict[str, Any] = json.loads(self.site.settings().read_text())
        return right | {"wifi": WIFI} | others

    async def offer(self, data: bytes) -> dict[str, Any]:
        """What the board says of these settings once it has made up its mind."""
        async with httpx.AsyncClient(base_url=self.url, timeout=5, trust_env=False) as http:
            assert (await http.post("/settings", content=data)).status_code == 202
            async with asyncio.timeout(20):
                while True:
                    told: dict[str, Any] = (await http.get("/state")).json()
                    if told["state"] in ("saved", "failed"):
                        return told
                    await asyncio.sleep(0.05)

    @property
    def saved(self) -> bytes:
        return self.flash.read("settings.json")


@asynccontextmanager
async def setup_site(folder: Path, refused: str = "settings.json is missing") -> AsyncIterator[SetupSite]:
    add_missing_calls()
    async with device_site(folder) as site:
        setup = SetupSite(site, refused)
        running = setup.running
        await until(lambda: setup.board.names_port is not None or running.done())
        try:
            yield setup
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def free_port() -> int:
    """Of loopback; nobody else has it, unless he takes it now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
