"""The kiosk over real HTTP, in front of a site whose only fake is the device."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from edge.discovery import DiscoveryHealth
from edge.identity import GatewayIdentity
from edge.kiosk.health import Health
from edge.kiosk.routes import create_app
from edge.kiosk.server import bind, serve
from edge.kiosk.streams import Streams
from edge.kiosk.views import KioskViews
from edge.sync.agent import SyncStatus
from shared.contract import Rail
from tests.fakes.site import Site, running_site

KEEP_ALIVE_S = 0.2


class KioskSite:
    """A browser's side: `http` speaks to the kiosk."""

    def __init__(self, site: Site, http: httpx.AsyncClient, streams: Streams, port: int) -> None:
        self.site, self.http, self.streams, self.port = site, http, streams, port
        self.broker_running = True

    @property
    def catalogue_url(self) -> str:
        return f"/kiosk/v1/machines/{self.site.machine_id}/catalogue"

    def wish(self, *slots: str, version: int = 1) -> dict[str, Any]:
        lines = [{"slot": slot, "quantity": 1} for slot in slots]
        return {"machine_id": str(self.site.machine_id), "planogram_version": version, "lines": lines}

    async def place(self, wish: object, key: object) -> httpx.Response:
        headers = {"Idempotency-Key": str(key)}
        return await self.http.post("/kiosk/v1/orders", json=wish, headers=headers)

    async def events(self, url: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The events of a stream: name and body. Comments are named ":"."""
        async with self.http.stream("GET", url) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            name = ""
            async for line in response.aiter_lines():
                if line.startswith(":"):
                    yield ":", {}
                elif line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, json.loads(line.removeprefix("data: "))


@asynccontextmanager
async def running_kiosk(
    folder: Path, rail: Rail = Rail.FREE, opening: int = 10, max_streams: int = 8, body_timeout_s: float = 5
) -> AsyncIterator[KioskSite]:
    """A kiosk on a free port of loopback."""
    async with running_site(folder, rail, opening) as site:
        views = KioskViews(site.database, site.catalog, site.inventory, site.devices, site.payments)
        streams = Streams(site.watch, KEEP_ALIVE_S, max_streams)
        identity = GatewayIdentity(folder, site.clock)
        listener = bind("127.0.0.1", 0)
        port = listener.getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            kiosk = KioskSite(site, http, streams, port)
            health = Health(
                site.database,
                site.outbox,
                identity,
                site.clock,
                views,
                site.orders,
                SyncStatus(),
                lambda: kiosk.broker_running,
                DiscoveryHealth.none,
            )
            stop = asyncio.Event()
            app = create_app(views, site.orders, streams, health, ("kiosk.lan",))
            app.config["BODY_TIMEOUT"] = body_timeout_s
            server = asyncio.create_task(serve(app, listener, stop), name="kiosk")
            try:
                yield kiosk
            finally:
                streams.stop()
                stop.set()
                await server


def order_url(order_id: UUID | str) -> str:
    return f"/kiosk/v1/orders/{order_id}"
