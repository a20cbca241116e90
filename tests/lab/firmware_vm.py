"""500 vends of the firmware in MicroPython's own VM, with drops, jams, link cuts and power cuts at random.

python -m tests.lab.firmware_vm [--vends N | --full] [--seed S]

One machine that takes coins, one customer after the other. Power goes at a random moment or in the middle of a random
write to the flash. At the end the judge of the crash labs compares the gateway with what the motors did: no motor
started twice for a vend, every order came to its end, every coin counted once.
"""

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from firmware.simulator.coil import Habits
from firmware.vending import remains, rules
from firmware.vending.journal import FILES
from tests.fakes.until import until
from tests.firmware.vm.device import CUT, compile_firmware
from tests.firmware.vm.site import PRICE_MINOR, NotSold, VmSite, vm_site
from tests.lab.crash_oracle import Ledger, Verdict, judge, report
from tests.lab.crash_shop import order_seen

VENDS, FULL_VENDS = 40, 500
SPEED = 5.0
POLL_S = 0.01
STOCK = 450
DROP_RATE, SLIP_RATE = 0.9, 0.05
RESOLVED_S = 60.0
MAX_WRITES, MAX_BYTES = 5, 60
"""A vend writes its five records to the journal, of about so many bytes each."""
WRITES_S = 1.5
NEVER = 10**9


@dataclass
class Report:
    """What became of a run."""

    seed: int
    mishaps: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    boots: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def good(self) -> bool:
        """Nothing is wrong."""
        return self.verdict.held

    def __str__(self) -> str:
        counted = f"seed {self.seed}: {self.outcomes.total()} vends {dict(self.outcomes)}, {self.boots} boots"
        return f"{counted}, {dict(self.mishaps)}\n{report(self.verdict)}"


class Run:
    """Vends one after the other at a site, each with its mishap."""

    def __init__(self, site: VmSite, chance: random.Random, told: Report) -> None:
        self._site = site
        self._device = site.device
        self._chance = chance
        self._told = told
        self._mishaps: dict[str, tuple[int, Callable[[str], Coroutine[None, None, None]]]] = {
            "none": (30, self._nothing),
            "power cut": (20, self._cut_power),
            "power cut in a write": (20, self._cut_write),
            "link cut": (20, self._cut_link),
            "jam": (10, self._jam),
        }

    async def vend(self) -> None:
        """Coins, an order, what befalls it, and a person if the slot wants one."""
        slot = await self._open_slot()
        await self._pay()
        weights = [weight for weight, _ in self._mishaps.values()]
        name = self._chance.choices(list(self._mishaps), weights)[0]
        self._told.mishaps[name] += 1
        mishap = asyncio.create_task(self._mishaps[name][1](slot), name=name)
        try:
            order_id = await self._site.place(slot)
        except NotSold:
            order_id = None  # the mishap came first
        await mishap
        await self._power()
        if order_id is None:
            self._told.mishaps["no order taken"] += 1
            self._device.cut_at(NEVER, 0)
            return
        order = await self._site.until_ended(order_id, RESOLVED_S)
        self._device.cut_at(NEVER, 0)
        self._told.outcomes[str(order["vends"][0]["outcome"])] += 1

    async def settle(self) -> Verdict:
        """What the judge says, once nothing more is under way."""
        await self._until_online()
        deadline = time.monotonic() + RESOLVED_S
        verdict = await self._judge()
        while not verdict.held and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
            verdict = await self._judge()
        own_ends = [status for status in self._device.statuses if status != CUT]
        verdict.faults |= {f"the firmware ended by itself with status {status}" for status in own_ends}
        return verdict

    async def _judge(self) -> Verdict:
        site, machine = self._site, str(self._site.machine_id)
        ledger = Ledger(
            orders={order_id: order_seen(await site.order(order_id)) for order_id in site.orders},
            credit={machine: (await site.catalogue())["credit_minor"]},
            stock={(machine, slot): units for slot, units in (await site.status())["stock"][machine].items()},
        )
        return judge(site.orders, ledger, {machine: site.world()}, {})

    async def _open_slot(self) -> str:
        """A slot that sells; a person sees to those that are out of service."""
        await self._until_online()
        slots = (await self._site.catalogue())["slots"]
        for slot in slots:
            if slot["state"] == "suspect":
                await self._site.visit(slot["slot"], 1)
        return str(self._chance.choice(slots)["slot"])

    async def _pay(self) -> None:
        """Now and then the power goes when the coin is in the journal and nobody has been told."""
        if (await self._site.catalogue())["credit_minor"] >= PRICE_MINOR:
            return
        cuts = self._chance.random() < 0.2
        if cuts:
            self._told.mishaps["power cut after a coin"] += 1
            await until(self._is_quiet, RESOLVED_S)
            self._device.cut_at(1, 0)
        paying = asyncio.create_task(self._site.insert(PRICE_MINOR, RESOLVED_S), name="pay")
        while not paying.done():
            await self._power()
            await asyncio.sleep(POLL_S)
        await paying

    def _is_quiet(self) -> bool:
        """Whether the next write is the coin's: a coin that lies in no journal yet goes with the power."""
        files = [self._device.flash / name for name in FILES]
        newest, _ = remains.read([file.read_bytes() if file.exists() else b"" for file in files])
        state = rules.EMPTY
        for record in newest.records if newest is not None else ():
            state = rules.apply(state, record)
        return not state.vends and not state.credits

    async def _until_online(self) -> None:
        """Raises TimeoutError. That the power is gone may be noticed late: whoever waits looks again and again."""
        async with asyncio.timeout(RESOLVED_S):
            while not self._site.is_online:
                await self._power()
                await asyncio.sleep(POLL_S)

    async def _power(self) -> None:
        """Boot a device that lies without power."""
        if not self._device.has_power:
            await self._device.power_off()
            await asyncio.sleep(self._chance.uniform(0, 0.3))
            await self._device.power_on()
            self._told.boots += 1

    async def _nothing(self, slot: str) -> None:
        """A vend as it should be, if the coil wants it so."""

    async def _cut_power(self, slot: str) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.7))
        await self._device.power_off()

    async def _cut_write(self, slot: str) -> None:
        self._device.cut_at(self._chance.randint(0, MAX_WRITES - 1), self._chance.randint(0, MAX_BYTES))
        with suppress(AssertionError):  # a vend with fewer records than that
            await until(lambda: not self._device.has_power, WRITES_S)

    async def _cut_link(self, slot: str) -> None:
        await asyncio.sleep(self._chance.uniform(0, 0.5))
        self._device.set_link(up=False)
        await asyncio.sleep(self._chance.uniform(0, 2))
        self._device.set_link(up=True)

    async def _jam(self, slot: str) -> None:
        self._device.cabinet.jam(slot, jammed=True)
        await asyncio.sleep(self._chance.uniform(0, 2.5))
        self._device.cabinet.jam(slot, jammed=False)


async def run(vends: int, seed: int, folder: Path) -> Report:
    """So many vends at one site, and the judge's word."""
    told, chance = Report(seed), random.Random(seed)
    compile_firmware(folder / "app")
    habits = Habits(SPEED, DROP_RATE, SLIP_RATE, STOCK, seed)
    async with vm_site(folder, folder / "app", habits) as site:
        one = Run(site, chance, told)
        try:
            while told.outcomes.total() < vends:
                await one.vend()
        except (AssertionError, TimeoutError) as error:
            told.verdict.faults.add(f"vend {told.outcomes.total() + 1}: {error}")
        told.verdict.add(await one.settle())
    return told


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vends", type=int, default=VENDS, help=f"how many (default: {VENDS})")
    parser.add_argument("--full", action="store_true", help=f"{FULL_VENDS} of them")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of all chance (default: any)")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    print(f"seed {options.seed}", flush=True)
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="larder-firmware-vm-"))
    told = asyncio.run(run(FULL_VENDS if options.full else options.vends, options.seed, folder))
    print(f"{told}\n{time.monotonic() - began:.0f} s")
    if told.good:
        shutil.rmtree(folder)
    else:
        print(f"logs and state are kept in {folder}")
    return 0 if told.good else 1


if __name__ == "__main__":
    sys.exit(main())
