"""Food safety: a zone that was too warm for too long sells nothing until a person releases it. It asks no gateway.

A zone is warm above its limit, and while its sensor is silent. Warm time adds up until the zone is seen cold. A door
that opens, or a defrost that begins, stops the count for a grace; that of a door left open ends like any other, and
the next one begins only after the zone was cold again, and none outlives a reboot.

Two files alternate (climate_memory.py reads them), so a power cut at any byte leaves the old or the new. Saved is
always up to a minute more than was counted: a reboot takes nothing back, and a warm zone is written once a minute at
most.
"""

from collections import namedtuple

from . import TYPE_CHECKING, const, topics
from .borrowed import borrow, give_back
from .journal import encode
from .log import alarm, warn
from .messages import UNKNOWN_ZONE, pack, request_answer
from .nonces import new_uuid

if TYPE_CHECKING:
    from .clock import Clock
    from .flash import Flash
    from .reports import Reports

COLD = "cold"
WARM = "warm"
LOCKED = "locked"

FILES = ("climate.0", "climate.1")
SAVE_MS = 60_000
"""Between two writes, but for a zone that locks: 1,440 a day at worst, which littlefs spreads over all of the flash."""
FIRST_LOOK_MS = 10_000
"""So long after boot a sensor may still be at its first measurement."""
_TELL_MS = const(10_000)
"""Between two words on a zone that swings about its limit."""

Zone = namedtuple("Zone", ("locked", "is_warm", "warm_ms", "grace_ms", "rested"))
"""`warm_ms`: counted so far. `grace_ms`: still to come. `rested`: it was cold since its last grace began."""

Saved = namedtuple("Saved", ("locked", "warm_ms", "request_id", "freed_by"))
"""What is on flash of a zone. `request_id`: of the last release that was asked for. `freed_by`: what let it go when it
was locked last, as (id, whether by hand at the machine); None if it never was.

Of a locked zone that only other settings know, `warm_ms` is PASSED_ON once its lock has gone for all zones of these."""
PASSED_ON = -1


def step(zone: Zone, limits, ms: int, is_warm: bool, disturbed: bool) -> Zone:
    """The zone after `ms` more; `disturbed`: a door was opened or a defrost began. `limits` is settings.Limits."""
    if zone.locked:
        return Zone(True, is_warm, 0, 0, False)
    rested = zone.rested or not is_warm
    grace_ms = max(0, zone.grace_ms - ms)
    if disturbed and rested:
        grace_ms, rested = limits.grace_ms, False
    warm_ms = zone.warm_ms + max(0, ms - zone.grace_ms) if is_warm else 0
    return Zone(warm_ms >= limits.warm_ms, is_warm, warm_ms, grace_ms, rested)


def condition(zone: Zone) -> str:
    """The word of shared/climate.py."""
    return LOCKED if zone.locked else WARM if zone.is_warm else COLD


class Climate:
    """Every zone of `limits` (name → settings.Limits); `slots` are all of the device's.

    `look` is to be called about once a second.
    """

    def __init__(
        self, limits: dict, slots: dict, flash: "Flash", clock: "Clock", reports: "Reports", boot_id: str
    ) -> None:
        self._limits = limits
        self._slots = slots
        self._flash = flash
        self._clock = clock
        self._reports = reports
        self._boot_id = boot_id
        self._generation, saved = borrow("climate_memory").load(flash)
        give_back("climate_memory")
        saved_too = {name: Saved(*past) for name, past in (saved or {}).items()}
        self._others = {name: past for name, past in saved_too.items() if name not in limits}
        nothing = Saved(saved is None, 0, "", None)
        self._saved = {name: saved_too.get(name, nothing) for name in limits}
        self._zones = {}
        for name, past in self._saved.items():
            locked = past.locked or self._is_passed_to(name not in saved_too)
            self._zones[name] = Zone(locked, True, max(0, past.warm_ms), 0, False)
        for name, past in self._others.items():
            if past.locked:
                self._others[name] = Saved(True, PASSED_ON, past.request_id, past.freed_by)
        self._celsius: dict = {}
        self._told: dict = {}
        self._told_ms = -_TELL_MS
        self._saved_ms = -SAVE_MS
        self._save_failed = False
        self._looked_ms = clock.ms()
        self._was_open = False

    def _is_passed_to(self, is_new: bool) -> bool:
        """Which slots a zone of other settings had is not known here: its lock goes for each zone, once."""
        return any(past.locked and (is_new or past.warm_ms != PASSED_ON) for past in self._others.values())

    def refuses(self, slot: str) -> bool:
        """Whether a zone of this slot is locked."""
        return any(zone.locked and slot in self._limits[name].slots for name, zone in self._zones.items())

    def is_locked(self) -> bool:
        """Whether nothing at all can be sold."""
        return all(self.refuses(slot) for slot in self._slots)

    def has_lock(self) -> bool:
        """Whether any zone is locked."""
        return any(zone.locked for zone in self._zones.values())

    def look(self, celsius: dict, is_open: bool) -> None:
        """`celsius`: zone → hundredths of a degree, None from a silent sensor; `is_open`: door open, or defrosting."""
        now = self._clock.ms()
        self._celsius = celsius
        if now < FIRST_LOOK_MS and any(self._starts_silent(name) for name in self._limits):
            return
        ms, disturbed = now - self._looked_ms, is_open and not self._was_open
        self._looked_ms, self._was_open = now, is_open
        for name, limits in self._limits.items():
            was_locked = self._zones[name].locked
            self._zones[name] = step(self._zones[name], limits, ms, self._is_warm(name), disturbed)
            if self._zones[name].locked and not was_locked:
                alarm("zone_locked", zone=name, centi_celsius=celsius.get(name))
        self._save_what_is_due(now)
        self._tell(now)

    def greet(self) -> list:
        """The (channel, payload) pairs to say at each connect."""
        self._told = {name: condition(zone) for name, zone in self._zones.items()}
        return [(topics.SENSOR, self._report(name)) for name in self._limits]

    def unlock(self, fields: dict) -> None:
        """The errand: a person answers for what lies in the zone. The same request again is only answered again."""
        name, request_id = fields["zone"], fields["request_id"]
        reason = None
        if name not in self._limits:
            reason = UNKNOWN_ZONE
        elif self._saved[name].request_id != request_id and not self._set_free((name,), request_id, False):
            reason = "flash_failed"
        state = "done" if reason is None else "refused"
        warn("zone_release_asked", zone=name, request_id=request_id, state=state, reason=reason)
        self._reports.tell(topics.ANSWER, request_answer(self._boot_id, request_id, state, reason))
        self._tell(self._clock.ms())

    def offers_release(self, board) -> bool:
        """Whether somebody who presses the button may release what is locked."""
        # Where the door has no switch, that the button is behind it has to do.
        return self.has_lock() and board.door_is_open() is not False

    def unlock_by_hand(self) -> bool:
        """Whoever stands before the open machine answers for all that is locked; whether that is on flash."""
        names = [name for name, zone in self._zones.items() if zone.locked]
        is_done = self._set_free(names, new_uuid(), True)
        warn("zones_released_by_hand", zones=names, done=is_done)
        self._tell(self._clock.ms())
        return is_done

    def _set_free(self, names, release_id: str, at_machine: bool) -> bool:
        """Only what is on flash is released: a reboot must not lock it again."""
        before = (dict(self._zones), dict(self._saved), self._others)
        for name in names:
            zone, past = self._zones[name], self._saved[name]
            request_id = past.request_id if at_machine else release_id
            freed_by = (release_id, at_machine) if zone.locked else past.freed_by
            self._saved[name] = Saved(past.locked, past.warm_ms, request_id, freed_by)
            if zone.locked:
                self._zones[name] = Zone(False, zone.is_warm, 0, 0, False)
        if not self.has_lock():
            self._others = {}
        if self._save():
            return True
        self._zones, self._saved, self._others = before
        return False

    def _is_warm(self, name: str) -> bool:
        hundredths = self._celsius.get(name)
        return hundredths is None or hundredths > self._limits[name].limit

    def _starts_silent(self, name: str) -> bool:
        return self._celsius.get(name) is None and not self._zones[name].warm_ms

    def _save_what_is_due(self, now: int) -> None:
        locks = behind = False
        for name, zone in self._zones.items():
            past = self._saved[name]
            locks = locks or zone.locked != past.locked
            behind = behind or zone.warm_ms > past.warm_ms or (past.warm_ms > 0 and not zone.warm_ms)
        if (locks and not self._save_failed) or ((locks or behind) and now - self._saved_ms >= SAVE_MS):
            self._save()

    def _save(self) -> bool:
        """Write all zones to the older file; false if the flash does not take it, which is tried again in a minute."""
        wanted = {name: self._to_save(name) for name in self._zones}
        kept = dict(self._others)
        kept.update(wanted)
        # As lists: MicroPython writes a namedtuple as no JSON.
        line = encode((self._generation + 1, {zone: list(past) for zone, past in kept.items()}))
        name = FILES[(self._generation + 1) % 2]
        self._saved_ms = self._clock.ms()
        try:
            self._flash.replace(name, line)
            self._save_failed = self._flash.read(name) != line
        except OSError:
            self._save_failed = True
        if self._save_failed:
            alarm("climate_not_saved")
            return False
        self._generation += 1
        self._saved = wanted
        return True

    def _to_save(self, name: str) -> Saved:
        zone, past = self._zones[name], self._saved[name]
        warm_ms = zone.warm_ms + SAVE_MS if zone.warm_ms and not zone.locked else 0
        return Saved(zone.locked, warm_ms, past.request_id, past.freed_by)

    def _tell(self, now: int) -> None:
        for name, zone in self._zones.items():
            word, told = condition(zone), self._told.get(name)
            if word == told or not (LOCKED in (word, told) or now - self._told_ms >= _TELL_MS):
                continue
            if self._reports.tell(topics.SENSOR, self._report(name)):
                self._told[name] = word
                self._told_ms = now

    def _report(self, name: str) -> bytes:
        """shared.climate.ZoneReport."""
        freed_by = self._saved[name].freed_by
        return pack(
            {
                "boot_id": self._boot_id,
                "zone": name,
                "condition": condition(self._zones[name]),
                "centi_celsius": self._celsius.get(name),
                "slots": list(self._limits[name].slots),
                "released": None if freed_by is None else {"release_id": freed_by[0], "at_machine": freed_by[1]},
            }
        )
