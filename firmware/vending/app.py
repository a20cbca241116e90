"""The composition root: builds every part of the device, and is forgotten once they run. `waking.py` calls it."""

from . import TYPE_CHECKING, VERSION
from .boot import run_together
from .borrowed import borrow, give_back
from .clock import Clock
from .commands import Commands
from .dispenser import Dispenser
from .errands import Errands, Parts
from .front import Front
from .health import Health
from .journal import Journal
from .link import Link
from .log import kept, log, warn
from .mqtt import MqttClient
from .nonces import Nonces, new_uuid
from .reports import Reports
from .sensors import Sensors
from .session import Session
from .till import Till
from .vigil import Vigil

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine

    from .flash import Flash
    from .hardware import Hardware
    from .settings import Settings

ERRANDS: dict = {
    "restart": ("restart", "requests", "exchange"),
    "jog": ("jog", "service_pin", "requests", "exchange"),
    "offer": ("offers",),
    "release_zone": ("zoneless",),
}
"""Type of an errand → the modules it borrows (errands.py)."""


class Device:
    """All parts of one device. `board` and `flash` are what the hardware is; `context` is whom TLS believes.

    `make_client` opens MQTT on a stream. `on_trial`: the settings are new, and kept only if the link comes up with them
    (trial.py).
    """

    def __init__(
        self,
        settings: "Settings",
        board: "Hardware",
        flash: "Flash",
        context: "ssl.SSLContext",
        make_client: "type[MqttClient]" = MqttClient,
        on_trial: bool = False,
    ) -> None:
        clock = Clock()
        kept.ms = clock.ms
        boot_id = new_uuid()
        nonces = Nonces(clock)
        journal = Journal(flash)
        self._settings = settings
        self._board = board
        self._boot_id = boot_id
        self._flash = flash
        self._on_trial = on_trial
        self.journal = journal
        self.reports = Reports(journal, clock, nonces, boot_id, settings.currency)
        self.vigil = vigil = Vigil(board, clock)
        climate = None
        if settings.climate:
            from .climate import Climate

            climate = Climate(settings.climate, settings.slots, flash, clock, self.reports, boot_id)
        self.health = health = Health(board, journal, clock, climate)
        known = (self.reports, clock, vigil, health, climate)
        self.dispenser = Dispenser(board, journal, settings.slots, *known)
        till = Till(clock, journal, settings.currency)
        self.sensors = Sensors(board, journal, settings.slots, self.reports, till, vigil, self.dispenser.refuses)
        residents: dict = {"set_time": clock.set}
        greetings: list = []
        if climate is not None:
            residents["release_zone"] = climate.unlock
            greetings.append(climate.greet)
        self.errands = errands = Errands(nonces, residents, ERRANDS)
        power_ma = settings.board.power_ma
        commands = Commands(journal, settings.slots, power_ma, nonces, self.dispenser, till, errands)
        credentials = borrow("credentials").load_or_make(flash)
        has = (settings, board, flash, clock, journal, self.dispenser, self.reports, boot_id)
        self._parts = Parts(*has, errands, till)
        said = (nonces, self.reports, commands, errands, boot_id)
        session = Session(settings, credentials, health, clock, *said)
        self.link = Link(self._parts, credentials, session, greetings, context, make_client, vigil)
        self._front = Front(self._parts, self.link, climate)

    def run(self) -> "Coroutine[object, object, None]":
        """What runs all parts together, for ever; the end of any is the end of all."""
        log("booted", device_id=self._settings.device_id, boot_id=self._boot_id, firmware=VERSION)
        self._recover()
        parts = [self.dispenser.run() for _ in range(self._settings.at_once)]
        parts.extend([self.link.run(), self.sensors.run(), self.journal.run(), self.vigil.run()])
        parts.extend([self.errands.run(self._parts), self.health.run(), self._front.run()])
        if self._settings.mdns:
            # What is imported is in RAM, and a device does without whose gateway's address is given.
            parts.append(borrow("announcer").announce(self._parts))
        if borrow("standing").is_due(self._flash):
            parts.append(borrow("probation").prove(self._parts, self.link, self.vigil))
        if self._on_trial:
            parts.append(borrow("trial").prove(self._parts, self.link))
        give_back("probation", "standing", "slots", "trial", "exchange", "greeting")
        return run_together(parts)

    def _recover(self) -> None:
        homes = {slot: self._board.home(slot) for slot in self._settings.slots}
        for record in borrow("recovery").recover(self.journal.state, homes):
            warn("vend_recovered", kind=record[0], epoch=record[1], seq=record[2])
            self.journal.note(record)
        give_back("recovery")
