"""A customer without a browser: what the kiosk page does over HTTP, and the two ledgers' own words."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import httpx

from tests.system.stage import Machine, Stage

TERMINAL = {"settled", "cancelled", "expired"}
RETRY_S = 0.1


class NotInTime(Exception):
    """Something did not happen within its deadline."""


class Customer:
    """Taps products at a stage's kiosk. Like the page, it repeats what was not answered, under the same key."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._http = httpx.AsyncClient(timeout=10, trust_env=False)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def catalogue(self, machine: Machine) -> dict[str, Any]:
        """What the kiosk shows of the machine."""
        return await self._get(f"{self._stage.kiosk_url}/kiosk/v1/machines/{machine.machine_id}/catalogue")

    async def until_open(self, machine: Machine, seconds: float = 30) -> dict[str, Any]:
        """The catalogue, once some slot can be bought. Raises NotInTime."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                shown = await self.catalogue(machine)
                if any(slot["state"] == "ok" for slot in shown["slots"]):
                    return shown
            except (httpx.HTTPError, NotInTime):
                pass  # the gateway is on its way up
            await asyncio.sleep(RETRY_S / 2)
        raise NotInTime(f"{machine.name} sells nothing after {seconds:.0f} s")

    async def insert_coin(self, machine: Machine, amount_minor: int, seconds: float = 10) -> None:
        """Insert it, and again while it is returned: machines take money once the gateway says so. Raises NotInTime."""
        deadline = time.monotonic() + seconds
        while True:
            told = self._stage.ask_device(machine, "coin", str(amount_minor))
            if told["ok"]:
                return
            if time.monotonic() > deadline or "returned" not in told["error"]:
                raise NotInTime(f"{machine.name}: {told['error']}")
            await asyncio.sleep(RETRY_S)

    async def place(self, machine: Machine, slot: str, seconds: float = 30) -> dict[str, Any]:
        """Order one unit and see it acknowledged. Raises NotInTime."""
        key, deadline = str(uuid4()), time.monotonic() + seconds
        answer = None
        while time.monotonic() < deadline:
            try:
                shown = await self.catalogue(machine)
                wish = {
                    "machine_id": machine.machine_id,
                    "planogram_version": shown["planogram_version"],
                    "lines": [{"slot": slot, "quantity": 1}],
                }
                url = f"{self._stage.kiosk_url}/kiosk/v1/orders"
                answer = await self._http.post(url, json=wish, headers={"Idempotency-Key": key})
                if answer.status_code in (200, 201):
                    placed: dict[str, Any] = answer.json()
                    return placed
            except (httpx.HTTPError, NotInTime):
                pass  # repeated under the same key
            await asyncio.sleep(RETRY_S)
        said = answer.text if answer is not None else "nothing"
        raise NotInTime(f"no order was taken within {seconds:.0f} s; the gateway said {said}")

    async def order(self, order_id: str) -> dict[str, Any]:
        """The order as the kiosk shows it now."""
        return await self._get(f"{self._stage.kiosk_url}/kiosk/v1/orders/{order_id}")

    async def until_ended(self, order_id: str, seconds: float = 60) -> dict[str, Any]:
        """The order in a terminal state. Raises NotInTime."""
        deadline = time.monotonic() + seconds
        shown: dict[str, Any] = {}
        while time.monotonic() < deadline:
            try:
                shown = await self.order(order_id)
                if shown["state"] in TERMINAL:
                    return shown
            except (httpx.HTTPError, NotInTime):
                pass  # the gateway is on its way up
            await asyncio.sleep(RETRY_S)
        raise NotInTime(f"order {order_id} has not ended after {seconds:.0f} s: {shown}")

    async def gateway_status(self) -> dict[str, Any]:
        """The gateway's ledger in figures."""
        return await self._get(f"{self._stage.kiosk_url}/kiosk/v1/status")

    async def cloud(self, path: str) -> dict[str, Any]:
        """A resource of the cloud's API."""
        return await self._get(f"{self._stage.cloud_url}/v1{path}", {"Authorization": f"Bearer {self._stage.api_key}"})

    async def cloud_orders(self) -> list[dict[str, Any]]:
        """Every order the cloud knows."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.cloud(f"/orders?limit=100{cursor}")
            found += page["orders"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    async def _get(self, url: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        answer = await self._http.get(url, headers=headers or {})
        if answer.status_code != 200:
            raise NotInTime(f"{url} answers {answer.status_code}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found
