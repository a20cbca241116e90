# mypy: ignore-errors
"""A device that has nothing to do but to take releases: `vending/boot.py` of a board without cabinet and link.

What takes them is the firmware's own; beside it stand a clock that hurries and a gateway that is a folder, /pc/store:
its files by their SHA-256, and `offers.json`, the offers of each boot. `now` is what the gateway says the time is.
"""

import asyncio
import json
import os
from collections import namedtuple

import _pc

from . import VERSION, offers, slots
from .borrowed import borrow, give_back
from .flash import Flash
from .journal import Journal
from .standing import running

STORE = "/pc/store/"
PARTS = ("settings", "board", "flash", "clock", "journal", "dispenser", "reports", "boot_id", "errands", "till")
Parts = namedtuple("Parts", PARTS)
Board = namedtuple("Board", ("coin", "note"))
nap_ms = asyncio.sleep_ms


async def no_time(*_):
    pass


def tell(event, **fields):
    fields["event"] = event
    print(json.dumps(fields))


class World:
    """All that is around: settings, board, clock, dispenser, reports, errands, till, link and vigil."""

    board = Board(None, None)
    state = "online"
    held = 0
    connects = 0
    connected_ms = 0
    passed_ms = 0

    def __init__(self, time_s):
        self._time_s = time_s
        self.asked = 0
        self.residents = {}

    def ms(self):
        self.passed_ms += 1000
        return self.passed_ms

    def now(self):
        return self._time_s

    def tell(self, channel, payload):
        message = json.loads(payload)
        tell("told", channel=channel, message=message)
        if message["ready"]:
            self.residents["leave"]({"digest": message["offered"]})

    def restart(self):
        tell("restarted")
        _pc.reset()

    def refuse(self):
        pass

    def others_wait(self):
        return False

    def silent(self):
        return []

    async def rest(self):
        pass

    async def fetch(self, parts, digest, offset, size):
        self.asked += 1
        tell("fetched", digest=digest, offset=offset)
        try:
            with open(STORE + digest, "rb") as file:
                file.seek(offset)
                return file.read(size)
        except OSError:
            return b""


async def main():
    with open(STORE + "offers.json") as file:
        told = json.loads(file.read())
    world = World(told["now"])
    journal = Journal(Flash("."))
    parts = Parts(world, world, Flash("."), world, journal, world, world, "boot", world, world)
    if borrow("standing").is_due(parts.flash):
        await borrow("probation").prove(parts, world, world)
    give_back("probation", "standing", "slots")
    for digest, size in told["offers"]:
        world.asked = 0
        await offers.perform(parts, {"purpose": "release", "digest": digest, "size": size})
        marker = slots.read()
        tell("judged", digest=digest, state=marker["state"], reason=marker["reason"], asked=world.asked)
        # Only between two calls into the VM does its collector see all that is live.
        await nap_ms(1)
    tell("rests", version=VERSION)
    _pc.end()


def start():
    tell("started", version=VERSION, slot=running(), files=sorted(os.listdir(running() + "/vending")))
    asyncio.sleep = no_time
    asyncio.run(main())
