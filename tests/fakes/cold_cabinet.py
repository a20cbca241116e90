"""A device's zones that must stay cold, over any number of boots, and what it tells of them."""

import json
from typing import Any

from firmware.vending.climate import Climate, Zone
from firmware.vending.journal import Journal
from firmware.vending.nonces import Nonces
from firmware.vending.reports import Reports
from firmware.vending.settings import Limits
from shared.climate import ZoneReport
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.set_clock import SetClock

WARM_S, GRACE_S = 900, 1800
LIMITS = Limits(500, 1000 * WARM_S, 1000 * GRACE_S, ("A1",))
COLD, HOT, SILENT = 500, 501, None
BOOT = "01890000-0000-7000-8000-000000000001"
REQUEST = "01890000-0000-7000-8000-000000000002"
FRESH = Zone(False, False, 0, 0, True)


class Told(Reports):
    """Keeps what is told while `connected`."""

    def __init__(self, clock: SetClock) -> None:
        super().__init__(Journal(MemoryFlash()), clock, Nonces(clock), BOOT, "INR")
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.is_connected = True

    def tell(self, channel: str, payload: bytes) -> bool:
        if self.is_connected:
            self.sent.append((channel, json.loads(payload)))
        return self.is_connected


class Cabinet:
    """A device's climate of one zone or more, over any number of boots."""

    def __init__(self, *zones: str, limits: Limits = LIMITS) -> None:
        self.flash = MemoryFlash()
        self.limits = dict.fromkeys(zones or ("top",), limits)
        self.celsius: dict[str, int | None] = dict.fromkeys(self.limits, COLD)
        self.is_open = False
        self.boot()

    def boot(self) -> None:
        self.clock = SetClock()
        self.told = Told(self.clock)
        self.climate = Climate(self.limits, {"A1": None, "A2": None}, self.flash, self.clock, self.told, BOOT)

    def live(self, seconds: int, look_s: int = 1) -> None:
        """Let time pass, with a look each `look_s`."""
        until = self.clock.time_ms + 1000 * seconds
        while self.clock.time_ms < until:
            self.clock.time_ms = min(until, self.clock.time_ms + 1000 * look_s)
            self.climate.look(self.celsius, self.is_open)

    def release(self, zone: str = "top", request_id: str = REQUEST) -> dict[str, Any]:
        self.climate.unlock({"zone": zone, "request_id": request_id})
        return [payload for channel, payload in self.told.sent if channel == "answer"][-1]

    def released(self, zone: str = "top") -> tuple[str, bool] | None:
        """What the device would tell a gateway that asks: the id of the last release, and whether it was by hand."""
        told = [ZoneReport.model_validate_json(payload) for _, payload in self.climate.greet()]
        release = next(report.released for report in told if report.zone == zone)
        return None if release is None else (str(release.release_id), release.at_machine)

    @property
    def is_locked(self) -> bool:
        return bool(self.climate.refuses("A1"))

    def conditions(self) -> list[tuple[str, str]]:
        return [(payload["zone"], payload["condition"]) for channel, payload in self.told.sent if channel == "sensor"]
