"""`./dev demo --check`: sell on-line, without the cloud, through killed programs; then compare everything."""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware.simulator.world import Witness, read_world
from tests.system.kiosk import TERMINAL, Customer, NotInTime
from tests.system.stage import ANY, SLOTS, Machine, Stage, choose_ports

SPEED = 6.0
ONLINE, OFFLINE = 10, 20
COIN_MINOR = 1000
PRICES_COVERED_BY = 10
OPENING = 10
DRAIN_S = 60.0

Say = Callable[[str], None]


class Check:
    """One run over a fresh stage; `rows` is the table: (what, wanted, found, held)."""

    def __init__(self, stage: Stage, say: Say) -> None:
        self.rows: list[tuple[str, str, str, bool]] = []
        self._stage = stage
        self._say = say
        self._customer = Customer(stage)
        self._orders: list[str] = []

    async def run(self) -> bool:
        """Whether everything held."""
        try:
            await self._open()
            await self._sell_online()
            await self._sell_offline()
            seconds = await self._return()
            await self._judge(seconds)
        except NotInTime as error:
            self._row("no step hangs", "yes", str(error), held=False)
        finally:
            await self._customer.close()
        return all(held for *_, held in self.rows)

    async def _open(self) -> None:
        self._say("starting cloud, gateway and two devices")
        await self._stage.start_cloud()
        await self._stage.internet.restore()
        await self._stage.start_gateway()
        await self._stage.until_advertised()
        for machine in self._stage.machines:
            self._stage.start_device(machine)
        for machine in self._stage.machines:
            await self._customer.until_open(machine, 60)

    async def _sell_online(self) -> None:
        self._say(f"{ONLINE} orders on-line")
        for number in range(ONLINE):
            await self._buy(number)
        self._row("orders on-line", str(ONLINE), str(len(self._orders)), held=len(self._orders) == ONLINE)

    async def _sell_offline(self) -> None:
        self._say("the cloud is stopped")
        await self._stage.cloud.stop()
        for number in range(OFFLINE):
            if number == OFFLINE // 4:
                await self._kill_device_in_mid_vend()
            if number == OFFLINE // 2:
                await self._kill_gateway()
            await self._buy(number)
        placed = len(self._orders) - ONLINE - 2
        self._row("orders without the cloud", str(OFFLINE), str(placed), held=placed == OFFLINE)

    async def _buy(self, number: int) -> None:
        machine = self._stage.machines[number % 2]
        order = await self._place(machine, SLOTS[number % len(SLOTS)])
        await self._customer.until_ended(order["order_id"])

    async def _place(self, machine: Machine, slot: str) -> dict[str, Any]:
        if machine.rail == "cash":
            shown = await self._customer.until_open(machine)
            price = next(one["price_minor"] for one in shown["slots"] if one["slot"] == slot)
            for _ in range(-(-max(0, price - shown["credit_minor"]) // COIN_MINOR)):
                await self._customer.insert_coin(machine, COIN_MINOR)
        order = await self._customer.place(machine, slot)
        self._orders.append(order["order_id"])
        return order

    async def _kill_device_in_mid_vend(self) -> None:
        machine = self._stage.machines[0]
        self._say(f"the device of {machine.name} loses power in mid-vend")
        before = read_world(self._stage.device_state(machine)).motor_starts.total()
        order = await self._place(machine, SLOTS[0])
        deadline = time.monotonic() + 10
        while read_world(self._stage.device_state(machine)).motor_starts.total() == before:
            if time.monotonic() > deadline:
                raise NotInTime("the motor did not start")
            await asyncio.sleep(0.005)
        await self._stage.devices[machine.name].kill()
        self._stage.start_device(machine)
        ended = await self._customer.until_ended(order["order_id"])
        self._say(f"  … and comes back: {ended['vends'][0]['outcome']}")

    async def _kill_gateway(self) -> None:
        self._say("the gateway is killed with -9 while it serves an order")
        order = await self._place(self._stage.machines[0], SLOTS[1])
        await self._stage.gateway.kill()
        began = time.monotonic()
        await self._stage.start_gateway()
        await self._customer.until_open(self._stage.machines[0])
        await self._customer.until_open(self._stage.machines[1])
        self._say(f"  … and sells again after {time.monotonic() - began:.1f} s")
        await self._customer.until_ended(order["order_id"])

    async def _return(self) -> float:
        self._say("the cloud is back")
        await self._stage.start_cloud()
        began = time.monotonic()
        while time.monotonic() - began < DRAIN_S:
            facts = (await self._customer.gateway_status())["facts"]
            if facts["waiting"] == 0 and (facts["acked_epoch"], facts["acked_seq"]) == (facts["epoch"], facts["seq"]):
                return time.monotonic() - began
            await asyncio.sleep(0.1)
        raise NotInTime(f"the outbox has not drained after {DRAIN_S:.0f} s")

    async def _judge(self, drained_s: float) -> None:
        world = self._witness()
        starts = max(world.motor_starts.values())
        self._row("most motor starts of one vend", "1", str(starts), held=starts == 1)
        orders = [await self._customer.order(order_id) for order_id in self._orders]
        ended = {order["order_id"] for order in orders if order["state"] in TERMINAL}
        wanted = len(self._orders)
        self._row("orders in a terminal state", str(wanted), str(len(ended)), held=len(ended) == wanted)
        outcomes = {vend["vend_id"]: vend["outcome"] for order in orders for vend in order["vends"]}
        unproven = [one for one, outcome in outcomes.items() if outcome == "dispensed" and not world.drops[one]]
        self._row("paid for without a product", "0", str(len(unproven)), held=not unproven)
        self._say(f"outcomes: {dict(Counter(outcomes.values()))}")
        await self._compare_stock(world.drops, outcomes)
        await self._compare_money(world.coins_minor, orders)
        await self._compare_facts()
        found_by = [
            next(self._stage.devices[one.name].said_ever("gateway_tried"))["found_by"] for one in self._stage.machines
        ]
        self._row("devices find the gateway by", "mdns", ", ".join(found_by), held=set(found_by) == {"mdns"})
        self._row("seconds to drain", f"≤ {DRAIN_S:.0f}", f"{drained_s:.1f}", held=drained_s <= DRAIN_S)

    def _witness(self) -> Witness:
        """What happened in all worlds together."""
        whole = Witness()
        for machine in self._stage.machines:
            world = read_world(self._stage.device_state(machine))
            whole.motor_starts.update(world.motor_starts)
            whole.drops.update(world.drops)
            whole.coins_minor += world.coins_minor
        return whole

    async def _compare_stock(self, drops: Counter[str], outcomes: dict[str, str]) -> None:
        gateway = {
            (machine_id, slot): units
            for machine_id, slots in (await self._customer.gateway_status())["stock"].items()
            for slot, units in slots.items()
        }
        page = await self._customer.cloud("/inventory?limit=100")
        cloud = {(one["machine_id"], one["slot"]): one["quantity"] for one in page["stock"]}
        self._row("stock: gateway = cloud", str(sum(gateway.values())), str(sum(cloud.values())), held=gateway == cloud)
        # What fell in a vend nobody can judge is booked by the person who looks; that slot is closed until then.
        ambiguous = [vend_id for vend_id, outcome in outcomes.items() if outcome == "ambiguous"]
        expected = OPENING * len(gateway) - drops.total() + sum(drops[vend_id] for vend_id in ambiguous)
        found = sum(gateway.values())
        self._row("stock = opening − fallen", str(expected), str(found), held=expected == found)
        if ambiguous:
            self._say(f"{len(ambiguous)} vend(s) ambiguous: money given back, slot closed until a person has looked")

    async def _compare_money(self, inserted_minor: int, orders: list[dict[str, Any]]) -> None:
        sold = [order for order in orders if order["rail"] == "cash" and order["state"] == "settled"]
        captured = sum(order["total_minor"] - order["given_back_minor"] for order in sold)
        credit = sum([(await self._customer.catalogue(machine))["credit_minor"] for machine in self._stage.machines])
        found = captured + credit
        self._row("coins = earned + credit", str(inserted_minor), str(found), held=found == inserted_minor > 0)

    async def _compare_facts(self) -> None:
        facts = (await self._customer.gateway_status())["facts"]
        heard = await self._customer.cloud(f"/gateways/{self._stage.gateway_id}/sync")
        ours, theirs = (facts["epoch"], facts["seq"]), (heard["epoch"], heard["seq"])
        self._row("facts: gateway = cloud", _number(ours), _number(theirs), held=ours == theirs)
        same = facts["chain"] == heard["chain"]
        self._row("hash chain: gateway = cloud", facts["chain"][:12], heard["chain"][:12], held=same)
        orders = {one["order_id"]: one["state"] for one in await self._customer.cloud_orders()}
        missing = [order_id for order_id in self._orders if orders.get(order_id) != "settled"]
        self._row("orders settled in the cloud", str(len(self._orders)), str(len(orders)), held=not missing)

    def _row(self, what: str, wanted: str, found: str, *, held: bool) -> None:
        self.rows.append((what, wanted, found, held))


def _number(position: tuple[int, int]) -> str:
    return f"{position[0]}/{position[1]}"


async def check(say: Say) -> bool:
    """Run the check in a folder of its own, print its table, and leave nothing behind unless something failed."""
    folder = Path(tempfile.mkdtemp(prefix="larder-check-"))
    stage = Stage(folder, choose_ports(ANY), SPEED)
    run = Check(stage, say)
    try:
        held = await run.run()
    finally:
        await stage.stop()
    width = max(len(what) for what, *_ in run.rows)
    for what, wanted, found, row_held in run.rows:
        say(f"{'ok  ' if row_held else 'FAIL'}  {what:<{width}}  wanted {wanted:>14}  found {found:>14}")
    if held:
        shutil.rmtree(folder)
    else:
        say(f"logs and state are kept in {folder}")
    return held
