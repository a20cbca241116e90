"""What happens at a site so that a fail-point is reached. A scene goes on, as customers do, when a program has died."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Coroutine

from tests.lab.crash_site import Site, tear
from tests.system.kiosk import NotInTime
from tests.system.stage import Machine

Scene = Callable[[Site, Machine], Coroutine[None, None, None]]
"""Returns when its customers have seen the end of what they began. Raises NotInTime."""

JOURNALS = ("journal.0", "journal.1")
SILENCE_S = 14.0
"""Longer than a gateway waits for a device's answer before it asks for the seq to be burnt (10 s)."""


async def buy(site: Site, machine: Machine) -> None:
    """One purchase."""
    await site.shop.buy(machine)


async def insert_coin(site: Site, machine: Machine) -> None:
    """A purchase that begins with a coin, whatever credit there is."""
    slot = site.chance.choice(await site.shop.until_open(machine))
    site.shop.pay(machine.machine_id, await _price(site, machine, slot))
    placed = await site.shop.place(machine, slot)
    await site.shop.until_ended(placed["order_id"])


async def pay_later(site: Site, machine: Machine) -> None:
    """An order that waits for its coin."""
    await _spend_credit(site, machine)
    placed = await site.shop.place(machine, await _dearest(site, machine))
    site.shop.pay(machine.machine_id, placed["due_minor"])
    await site.shop.until_ended(placed["order_id"])


async def cancel_unpaid(site: Site, machine: Machine) -> None:
    """A customer who changes their mind before paying."""
    await _spend_credit(site, machine)
    placed = await site.shop.place(machine, await _dearest(site, machine))
    await site.shop.cancel(placed["order_id"])
    await site.shop.until_ended(placed["order_id"])


async def cancel_running(site: Site, machine: Machine) -> None:
    """A customer who changes their mind while a jammed motor runs."""
    async with _Jam(site, machine) as jam:
        placed = await site.shop.place(machine, jam.slot)
        await site.shop.until_running(placed["order_id"])
        await site.shop.cancel(placed["order_id"])
        await site.shop.until_ended(placed["order_id"])


async def jam(site: Site, machine: Machine) -> None:
    """A motor that cannot turn: it runs until its time is over, and the gateway asks what it is doing."""
    async with _Jam(site, machine) as jammed:
        placed = await site.shop.place(machine, jammed.slot)
        await site.shop.until_ended(placed["order_id"])


async def silence(site: Site, machine: Machine) -> None:
    """A device that is there and says nothing, until the gateway gives up waiting for its answer."""
    device = site.process("device", machine)
    slot = site.chance.choice(await site.shop.until_open(machine))
    os.kill(device.pid, signal.SIGSTOP)
    try:
        placed = await site.shop.place(machine, slot)
        await _until_ended_or(site, SILENCE_S)
    finally:
        os.kill(device.pid, signal.SIGCONT)
    await site.shop.until_ended(placed["order_id"])


async def lost_journal(site: Site, machine: Machine) -> None:
    """A board whose memory is gone when it comes back from a power cut in mid-vend."""
    async with _Jam(site, machine) as jammed:
        placed = await site.shop.begin(machine, jammed.slot)
        await site.shop.until_running(placed["order_id"])
        await site.process("device", machine).kill()
        for name in JOURNALS:
            (site.stage.device_state(machine) / name).unlink(missing_ok=True)
        site.stage.start_device(machine)
        await site.shop.until_ended(placed["order_id"])


async def power_cut(site: Site, machine: Machine) -> None:
    """A device without power for a moment, and a purchase after that."""
    await site.process("device", machine).kill()
    await asyncio.sleep(0.5)
    site.stage.start_device(machine)
    await site.shop.buy(machine)


async def torn_journal(site: Site, machine: Machine) -> None:
    """A device whose last record was cut short by the power cut it comes back from: that is done before it starts."""
    await site.shop.buy(machine)


async def new_board(site: Site, machine: Machine) -> None:
    """A board that has made itself new secrets and claims with a fresh code."""
    device, state = site.process("device", machine), site.stage.device_state(machine)
    await device.kill()
    code = await site.technician.new_claim_code(machine)
    (state / "credentials.json").unlink()
    settings = json.loads((state / "settings.json").read_text())
    (state / "settings.json").write_text(json.dumps({**settings, "claim_code": code}))
    await site.shop.get("/kiosk/v1/status")
    site.stage.start_device(machine)
    await site.shop.buy(machine)


async def waiting(site: Site, machine: Machine) -> None:
    """Time goes by: links come up again, devices tell how they are, gateway and cloud compare notes."""
    await _until_ended_or(site, 15)
    await site.shop.buy(machine)


async def cloud_away(site: Site, machine: Machine) -> None:
    """The internet is cut, something is sold, and it comes back."""
    await site.stage.internet.cut()
    try:
        await site.shop.buy(machine)
    finally:
        await site.stage.internet.restore()
    await site.shop.buy(machine)


async def delivery(site: Site, machine: Machine) -> None:
    """Products are put in while the internet is cut; when it is back, the gateway hears of them and books them."""
    await site.stage.internet.cut()
    try:
        slot = site.chance.choice(await site.shop.until_open(machine))
        before = (await _stock(site, machine))[slot]
        await site.technician.restock(machine, 1, (slot,))
    finally:
        await site.stage.internet.restore()
    deadline = time.monotonic() + 60
    while (await _stock(site, machine))[slot] == before:
        if time.monotonic() > deadline:
            raise NotInTime(f"{machine.name}, slot {slot}: the delivery was not booked within 60 s")
        await asyncio.sleep(0.05)


def tear_journal(site: Site, machine: Machine) -> None:
    """What `torn_journal` finds at its beginning."""
    for name in JOURNALS:
        tear(site.stage.device_state(machine) / name)


class _Jam:
    """A slot that is jammed for as long as the context lasts."""

    def __init__(self, site: Site, machine: Machine) -> None:
        self.slot = ""
        self._site, self._machine = site, machine

    async def __aenter__(self) -> "_Jam":
        self.slot = self._site.chance.choice(await self._site.shop.until_open(self._machine))
        await self._tell("jam")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tell("unjam")

    async def _tell(self, verb: str) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                self._site.stage.ask_device(self._machine, verb, self.slot)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
            else:
                return


async def _dearest(site: Site, machine: Machine) -> str:
    await site.shop.until_open(machine)
    slots = (await site.shop.catalogue(machine))["slots"]
    return str(
        max((slot for slot in slots if slot["state"] == "ok"), key=lambda slot: int(slot["price_minor"]))["slot"]
    )


async def _spend_credit(site: Site, machine: Machine) -> None:
    """Buy with what was given back to the machine's credit, until the dearest product costs more."""
    dearest = await _dearest(site, machine)
    while (await site.shop.catalogue(machine))["credit_minor"] >= await _price(site, machine, dearest):
        await site.shop.buy(machine, dearest)


async def _price(site: Site, machine: Machine, slot: str) -> int:
    return next(int(one["price_minor"]) for one in (await site.shop.catalogue(machine))["slots"] if one["slot"] == slot)


async def _stock(site: Site, machine: Machine) -> dict[str, int]:
    stock: dict[str, int] = (await site.shop.get("/kiosk/v1/status"))["stock"][machine.machine_id]
    return stock


async def _until_ended_or(site: Site, seconds: float) -> None:
    """Until the gateway or the cloud has died, or so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if site.stage.gateway.ended or site.stage.cloud.ended:
            return
        await asyncio.sleep(0.02)
