"""The composition root: builds every part of the device and runs them together. `boot.py` starts it."""

import asyncio

from . import VERSION, rules
from .addresses import Addresses
from .clock import Clock
from .commands import Commands
from .credentials import load_or_make
from .dispenser import Dispenser
from .errands import Errands, Parts
from .flash import Flash
from .hardware import Hardware
from .ids import new_uuid
from .journal import Journal
from .link import Link
from .log import kept, log, warn
from .mqtt import MqttClient
from .nonces import Nonces
from .reports import Reports
from .sensors import Sensors
from .session import Session
from .settings import Settings
from .sockets import site_context
from .till import Till
from .vigil import Vigil

ERRANDS: dict = {}
"""Type of an errand → the modules it borrows (errands.py)."""


class Device:
    """All parts of one device. `board` and `flash` are what the hardware is; `make_client` opens MQTT on a stream."""

    def __init__(
        self, settings: Settings, board: Hardware, flash: Flash, make_client: "type[MqttClient]" = MqttClient
    ) -> None:
        context = site_context(settings.ca_der)
        clock = Clock()
        kept.ms = clock.ms
        boot_id = new_uuid()
        nonces = Nonces(clock)
        journal = Journal(flash)
        self._settings = settings
        self._board = board
        self._boot_id = boot_id
        self.journal = journal
        self.reports = Reports(journal, clock, nonces, boot_id, settings.currency)
        self.vigil = vigil = Vigil(board, clock)
        self.dispenser = Dispenser(board, journal, settings.slots, self.reports, clock, vigil)
        till = Till(clock, journal, settings.currency)
        self.sensors = Sensors(board, journal, settings.slots, self.reports, till, vigil)
        self._announcer = None
        if settings.mdns:
            # What is imported is in RAM: 5 kB that a device does without whose gateway's address is given.
            from .discovery import Announcer

            self._announcer = Announcer(board, clock, settings.device_id)
        commands = Commands(journal, settings.slots, nonces, self.dispenser, till)
        credentials = load_or_make(flash)
        residents: dict = {}
        greetings: list = []
        self.errands = errands = Errands(nonces, residents, ERRANDS)
        self._parts = Parts(settings, board, flash, clock, journal, self.dispenser, self.reports, boot_id, errands)
        said = (nonces, journal, self.reports, commands, errands, boot_id, greetings)
        session = Session(settings, credentials, board, clock, *said)
        addresses = Addresses(settings, board, flash, clock)
        parts = (credentials, board, clock, addresses, session, self.dispenser, context, make_client, vigil)
        self.link = Link(settings, *parts)

    async def run(self) -> None:
        """For ever; the end of any part is the end of all."""
        log("booted", device_id=self._settings.device_id, boot_id=self._boot_id, firmware=VERSION)
        self._recover()
        parts = [self.link.run(), self.dispenser.run(), self.sensors.run(), self.journal.run(), self.vigil.run()]
        parts.append(self.errands.run(self._parts))
        if self._announcer is not None:
            parts.append(self._announcer.run())
        await asyncio.gather(*parts)

    def _recover(self) -> None:
        homes = {slot: self._board.home(slot) for slot in self._settings.slots}
        for record in rules.recover(self.journal.state, homes):
            warn("vend_recovered", kind=record[0], epoch=record[1], seq=record[2])
            self.journal.note(record)


def run_safely(program, board: Hardware) -> None:
    """Run the coroutine `program` to its end; whatever ends it, no motor stays on.

    MicroPython's asyncio abandons what else was running then: no `finally` in it switches its motor off.
    """
    try:
        asyncio.run(program)
    finally:
        board.make_safe()
