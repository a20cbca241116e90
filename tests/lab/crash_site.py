"""One whole site under the crash labs: real processes, their customers, and how all ledgers and worlds compare."""

import asyncio
import json
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from firmware.simulator.control import ask
from firmware.simulator.world import read_world
from tests.lab.crash_oracle import Ledger, OrderSeen, VendSeen, Verdict, judge
from tests.lab.crash_shop import Shop, order_seen
from tests.lab.crash_technician import Technician
from tests.system.kiosk import Customer, NotInTime
from tests.system.processes import Process
from tests.system.stage import ANY, Machine, Stage, choose_ports

SPEED = 10.0
RESOLVED_S = 60.0
"""RELIABILITY R1: how long after a restart an order may still be open."""
DRAIN_S = 60.0
POLL_S = 0.05
FAILPOINT = "LARDER_FAILPOINT"
FAST_LINES = {"LARDER_GATEWAY_BACKOFF_LIMIT_S": "1", "LARDER_GATEWAY_TELEMETRY_S": "2"}
"""Settings, not product constants: the labs wait less for a cloud that is back."""


class Site:
    """`stage` and `shop` of one site. `restarts` holds the seconds each start of the gateway took to be ready."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.stage = Stage(folder, choose_ports(ANY), SPEED)
        self.chance = chance
        self.shop = Shop(self.stage, chance)
        self.swallowed: dict[str, int] = {}
        self.restarts: list[float] = []
        self._cloud = Customer(self.stage)

    @property
    def machines(self) -> list[Machine]:
        """Free first, then cash."""
        return self.stage.machines

    @property
    def technician(self) -> Technician:
        """Knows the site's papers, so the cloud must have been started once."""
        return Technician(self.stage)

    def machine(self, rail: str) -> Machine:
        """The machine with this rail."""
        return next(machine for machine in self.machines if machine.rail == rail)

    def process(self, component: str, machine: Machine) -> Process:
        """The program of a component: cloud, gateway, or device (the machine's)."""
        if component == "device":
            return self.stage.devices[machine.name]
        return self.stage.cloud if component == "cloud" else self.stage.gateway

    async def open(self, stock: int) -> None:
        """Start what does not run yet, and fill every coil with so many more products."""
        if self.stage.cloud.ended:
            await self.stage.start_cloud()
        await self.stage.internet.restore()
        if self.stage.gateway.ended:
            await self.start_gateway()
        for machine in self.machines:
            self.stage.start_device(machine)
        for machine in self.machines:
            await self.shop.until_open(machine)
            await self.technician.restock(machine, stock)
        if busy := await self.settle():
            raise NotInTime(busy)
        await self.drain()

    async def start_gateway(self, failpoint: str = "") -> None:
        """Start it; one with a fail-point may die on the way."""
        began = time.monotonic()
        self.stage.gateway.start(**{FAILPOINT: failpoint, **FAST_LINES})
        if failpoint:
            return
        await self.stage.gateway.said("ready", RESOLVED_S)
        self.restarts.append(time.monotonic() - began)

    async def start(self, component: str, machine: Machine, failpoint: str = "") -> None:
        """Start one component that does not run."""
        if component == "gateway":
            await self.start_gateway(failpoint)
        elif component == "device":
            self.stage.start_device(machine, **{FAILPOINT: failpoint})
        else:
            self.stage.cloud.start(**{FAILPOINT: failpoint})
            if not failpoint:
                await self.stage.cloud.said("ready", RESOLVED_S)

    async def settle(self) -> str:
        """Wait until nothing is under way: no open order, no device with something to tell. What still is, if not."""
        deadline = time.monotonic() + RESOLVED_S
        while busy := await self._busy():
            if time.monotonic() > deadline:
                return f"still under way after {RESOLVED_S:.0f} s: {busy}"
            await asyncio.sleep(POLL_S)
        return ""

    async def _busy(self) -> str:
        orders = (await self.shop.get("/kiosk/v1/status"))["orders"]
        if still := {
            state: count for state, count in orders.items() if state in ("placed", "authorised", "dispensing")
        }:
            return f"orders {still}"
        for machine in self.machines:
            try:
                told = ask(self.stage.device_state(machine), "status")
            except OSError:
                return f"the device of {machine.name} is away"
            if told["link"] != "online" or told["unacknowledged"] or told["running"] or told["credits"]:
                return f"the device of {machine.name}: {told}"
        return ""

    async def judge(self) -> Verdict:
        """Once nothing is under way, compare what the gateway says over HTTP with the machines and with the cloud.

        Raises NotInTime when the cloud does not get all facts.
        """
        busy = await self.settle()
        orders: dict[str, OrderSeen] = {}
        for order_id in self.shop.acknowledged:
            try:
                orders[order_id] = order_seen(await self.shop.order(order_id))
            except LookupError:
                continue  # the judge misses it
        status = await self.shop.get("/kiosk/v1/status")
        ledger = Ledger(
            orders=orders,
            credit={one.machine_id: (await self.shop.catalogue(one))["credit_minor"] for one in self.machines},
            stock={
                (machine, slot): units for machine, slots in status["stock"].items() for slot, units in slots.items()
            },
        )
        verdict = self._judge(ledger)
        if busy:
            verdict.faults.add(busy)
        verdict.faults |= await self.drain()
        return verdict

    def _judge(self, ledger: Ledger) -> Verdict:
        worlds = {machine.machine_id: read_world(self.stage.device_state(machine)) for machine in self.machines}
        return judge(self.shop.acknowledged, ledger, worlds, self.swallowed)

    async def drain(self) -> set[str]:
        """Wait until the cloud has all facts; how it differs from the gateway then. Raises NotInTime."""
        deadline = time.monotonic() + DRAIN_S
        while True:
            status = await self.shop.get("/kiosk/v1/status")
            facts = status["facts"]
            heard = await self._heard()
            if facts["waiting"] == 0 and (heard.get("epoch"), heard.get("seq")) == (facts["epoch"], facts["seq"]):
                return await self._differences(status, heard)
            if time.monotonic() > deadline:
                raise NotInTime(f"not drained after {DRAIN_S:.0f} s: {facts}, the cloud has {heard}")
            await asyncio.sleep(POLL_S)

    async def _heard(self) -> dict[str, Any]:
        try:
            return await self._cloud.cloud(f"/gateways/{self.stage.gateway_id}/sync")
        except (NotInTime, OSError) as error:
            return {"error": str(error)}

    async def _differences(self, status: dict[str, Any], heard: dict[str, Any]) -> set[str]:
        found = set()
        if heard["chain"] != status["facts"]["chain"]:
            found.add("the hash chains of gateway and cloud differ")
        levels = (await self._cloud.cloud("/inventory?limit=100"))["stock"]
        ours = {(machine, slot): units for machine, slots in status["stock"].items() for slot, units in slots.items()}
        if {(one["machine_id"], one["slot"]): one["quantity"] for one in levels} != ours:
            found.add("the stock of gateway and cloud differs")
        suspect = {(one["machine_id"], one["slot"]) for one in levels if one["suspect"]}
        for machine in self.machines:
            slots = (await self.shop.catalogue(machine))["slots"]
            ours_suspect = {(machine.machine_id, slot["slot"]) for slot in slots if slot["state"] == "suspect"}
            if ours_suspect != {key for key in suspect if key[0] == machine.machine_id}:
                found.add(f"gateway and cloud do not suspect the same slots of {machine.name}")
        return found

    async def close(self) -> None:
        """Stop everything."""
        await self.shop.close()
        await self._cloud.close()
        await self.stage.stop()

    async def judge_files(self) -> Verdict:
        """Stop the gateway and judge once more by its ledger file: also the orders nobody was told of."""
        await self.stage.gateway.stop()
        return self._judge(read_ledger(self.stage.folder / "gateway/ledger.db"))


def read_ledger(path: Path) -> Ledger:
    """A stopped gateway's ledger."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        vends: dict[str, list[VendSeen]] = {}
        for row in connection.execute("SELECT * FROM vends ORDER BY order_id, position"):
            seen = VendSeen(row["vend_id"], row["slot"], row["outcome"], row["price_minor"])
            vends.setdefault(row["order_id"], []).append(seen)
        orders = connection.execute("SELECT o.*, p.given_back_minor FROM orders o JOIN payments p USING (order_id)")
        credit = connection.execute("SELECT * FROM credit_balances")
        stock = connection.execute("SELECT * FROM stock")
        return Ledger(
            orders={
                row["order_id"]: OrderSeen(
                    row["order_id"],
                    row["machine_id"],
                    row["rail"],
                    row["state"],
                    row["total_minor"],
                    row["given_back_minor"],
                    tuple(vends[row["order_id"]]),
                )
                for row in orders
            },
            credit={row["machine_id"]: row["amount_minor"] for row in credit},
            stock={(row["machine_id"], row["slot"]): row["on_hand"] for row in stock},
        )


def tear(path: Path) -> None:
    """Leave at the end of a file what a write that was cut short leaves."""
    if path.exists():
        with path.open("ab") as file:
            file.write(json.dumps(["A", 1]).encode()[:5])
