"""Customers of the crash labs: they pay, they repeat what was not answered, and they remember what was promised."""

import asyncio
import random
import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx

from firmware.simulator.control import ask
from firmware.simulator.world import read_world
from tests.lab.crash_oracle import TERMINAL, OrderSeen, VendSeen
from tests.system.kiosk import NotInTime
from tests.system.stage import Machine, Stage

POLL_S = 0.03
PLACE_S = 40.0
END_S = 60.0


class NotSold(Exception):
    """The gateway refuses the order: this slot sells nothing any more."""


def order_seen(view: dict[str, Any]) -> OrderSeen:
    """The kiosk's view of an order, for the judge."""
    return OrderSeen(
        order_id=view["order_id"],
        machine_id=view["machine_id"],
        rail=view["rail"],
        state=view["state"],
        total_minor=view["total_minor"],
        given_back_minor=view["given_back_minor"],
        vends=tuple(
            VendSeen(vend["vend_id"], vend["slot"], vend["outcome"], vend["price_minor"]) for vend in view["vends"]
        ),
    )


class Shop:
    """One site's kiosk as its customers use it. `acknowledged`: the orders they were promised."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self.acknowledged: set[str] = set()
        self.last_coin = 0
        """Minor units of the last coin that fell."""
        self._stage = stage
        self._chance = chance
        self._http = httpx.AsyncClient(base_url=stage.kiosk_url, timeout=5, trust_env=False)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def get(self, path: str) -> dict[str, Any]:
        """A resource of the kiosk, once the gateway is there. Raises NotInTime, LookupError when there is none."""
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            try:
                answer = await self._http.get(path)
                if answer.status_code == 404:
                    raise LookupError(path)
                if answer.status_code == 200:
                    found: dict[str, Any] = answer.json()
                    return found
            except httpx.HTTPError:
                pass  # the gateway is on its way up
            await asyncio.sleep(POLL_S)
        raise NotInTime(f"no answer to {path} within {END_S:.0f} s")

    async def catalogue(self, machine: Machine) -> dict[str, Any]:
        """What the kiosk shows of the machine."""
        return await self.get(f"/kiosk/v1/machines/{machine.machine_id}/catalogue")

    async def order(self, order_id: str) -> dict[str, Any]:
        """The order as it is now. Raises LookupError."""
        return await self.get(f"/kiosk/v1/orders/{order_id}")

    async def until_open(self, machine: Machine, seconds: float = 40) -> list[str]:
        """The slots that can be bought, once there are some. Raises NotInTime."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                slots = (await self.catalogue(machine))["slots"]
            except LookupError:
                slots = []  # a gateway that has not yet met its cloud knows no machine
            if good := [slot["slot"] for slot in slots if slot["state"] == "ok"]:
                return good
            await asyncio.sleep(POLL_S)
        raise NotInTime(f"{machine.name} sells nothing after {seconds:.0f} s")

    async def place(self, machine: Machine, slot: str | None = None) -> dict[str, Any]:
        """Order one unit, repeated under one key until it is acknowledged. Raises NotSold, NotInTime."""
        key, deadline, said = str(uuid4()), time.monotonic() + PLACE_S, "nothing"
        slot = slot or self._chance.choice(await self.until_open(machine))
        while time.monotonic() < deadline:
            try:
                wish = {
                    "machine_id": machine.machine_id,
                    "planogram_version": (await self.catalogue(machine))["planogram_version"],
                    "lines": [{"slot": slot, "quantity": 1}],
                }
                answer = await self._http.post("/kiosk/v1/orders", json=wish, headers={"Idempotency-Key": key})
                if answer.status_code in (200, 201):
                    placed: dict[str, Any] = answer.json()
                    self.acknowledged.add(placed["order_id"])
                    return placed
                said = answer.text
                if answer.status_code == 409:
                    raise NotSold(said)
            except httpx.HTTPError as error:
                said = repr(error)
            await asyncio.sleep(POLL_S)
        raise NotInTime(f"no order was taken within {PLACE_S:.0f} s: {said}")

    async def cancel(self, order_id: str) -> None:
        """Ask until the gateway has heard it. Raises NotInTime."""
        deadline = time.monotonic() + PLACE_S
        while time.monotonic() < deadline:
            try:
                if (await self._http.post(f"/kiosk/v1/orders/{order_id}/cancel")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass  # asked again
            await asyncio.sleep(POLL_S)
        raise NotInTime(f"order {order_id} could not be cancelled within {PLACE_S:.0f} s")

    async def until_ended(self, order_id: str, seconds: float = 2 * END_S) -> dict[str, Any]:
        """The order in a terminal state; inserts what it still costs. Raises NotInTime, LookupError."""
        deadline, shown, paid_at = time.monotonic() + seconds, {}, time.monotonic()
        while time.monotonic() < deadline:
            shown = await self.order(order_id)
            if shown["state"] in TERMINAL:
                return shown
            paid_at = self._pay_again(shown, paid_at)
            await asyncio.sleep(POLL_S)
        raise NotInTime(f"order {order_id} has not ended after {seconds:.0f} s: {shown}")

    def _pay_again(self, shown: dict[str, Any], paid_at: float) -> float:
        """A coin may fall through, as while a device has just come back: a customer tries again. When that was last."""
        if not shown["due_minor"] or time.monotonic() - paid_at <= 3:
            return paid_at
        self.pay(shown["machine_id"], shown["due_minor"])
        return time.monotonic()

    async def until_running(self, order_id: str, seconds: float = 20) -> None:
        """Return once a device is at the order's first vend; inserts what it still costs. Raises NotInTime."""
        deadline, paid_at = time.monotonic() + seconds, time.monotonic()
        while (shown := await self.order(order_id))["vends"][0]["state"] not in ("started", "done"):
            if time.monotonic() > deadline:
                raise NotInTime(f"order {order_id} is not started after {seconds:.0f} s")
            paid_at = self._pay_again(shown, paid_at)
            await asyncio.sleep(POLL_S)

    def pay(self, machine_id: str, amount_minor: int) -> None:
        """Insert a coin of just this value, if the device is there to take it."""
        machine = next(one for one in self._stage.machines if one.machine_id == machine_id)
        state = self._stage.device_state(machine)
        before = read_world(state).coins_minor
        with suppress(OSError):  # a device without power; the world knows whether the coin fell
            ask(state, "coin", str(amount_minor))
        self.last_coin = read_world(state).coins_minor - before

    async def begin(self, machine: Machine, slot: str | None = None) -> dict[str, Any]:
        """Pay and order; the acknowledged order. Raises NotSold, NotInTime."""
        slot = slot or self._chance.choice(await self.until_open(machine))
        if machine.rail == "cash":
            shown = await self.catalogue(machine)
            price = next(int(one["price_minor"]) for one in shown["slots"] if one["slot"] == slot)
            if price > shown["credit_minor"]:
                self.pay(machine.machine_id, price - shown["credit_minor"])
        return await self.place(machine, slot)

    async def buy(self, machine: Machine, slot: str | None = None) -> dict[str, Any]:
        """One purchase from the coin to the end. Raises NotSold, NotInTime."""
        return await self.until_ended((await self.begin(machine, slot))["order_id"])
