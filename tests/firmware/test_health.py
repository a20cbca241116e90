"""What a heartbeat tells of a device."""

from pathlib import Path

import pytest

from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import Habits
from firmware.vending import hardware, messages
from firmware.vending.climate import Climate
from firmware.vending.health import Health
from firmware.vending.journal import MAX_BYTES, Journal
from firmware.vending.nonces import Nonces
from firmware.vending.reports import Reports
from firmware.vending.settings import Limits
from firmware.vending.wiring import NO_PARTS, Switch, Thermometers
from shared.contract import ClockQuality
from shared.devices import Heartbeat, ResetCause
from tests.fakes.device_settings import SETTINGS
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.set_clock import SetClock

BOOT = "01890000-0000-7000-8000-000000000001"
PARTS = NO_PARTS._replace(door=Switch(14, 1), defrost=Switch(27, 0), temperatures=Thermometers(33, {"top": None}))


class Desk:
    """A device's health, without a link."""

    def __init__(self, folder: Path, limits: dict[str, Limits], with_sensors: bool = True) -> None:
        settings = SETTINGS._replace(board=PARTS if with_sensors else NO_PARTS)
        self.clock, flash = SetClock(), MemoryFlash()
        self.board, journal = SimulatedBoard(settings, folder, Habits()), Journal(flash)
        reports = Reports(journal, self.clock, Nonces(self.clock), BOOT, "INR")
        self.climate = Climate(limits, settings.slots, flash, self.clock, reports, BOOT)
        self.health = Health(self.board, journal, self.clock, self.climate)

    def beat(self) -> Heartbeat:
        """What is told now, by the contract."""
        return Heartbeat.model_validate_json(messages.heartbeat(BOOT, "0123456789abcdef", self.health.take()))


@pytest.mark.criterion("8.6")
def test_a_heartbeat_tells_all_that_there_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {})
    desk.clock.time_ms = 61_000
    desk.health.look()
    desk.health.note_current("A1", 300)
    desk.health.note_current("A1", 250)
    desk.health.note_current("A2", None)
    beat = desk.beat()
    assert (beat.uptime_s, beat.reset_cause, beat.clock) == (61, ResetCause.POWER_ON, ClockQuality.UNSYNCED)
    assert (beat.centi_celsius, beat.door_open, beat.peak_ma) == ({"top": 400}, False, {"A1": 300})
    assert beat.journal_limit_bytes == MAX_BYTES
    assert beat.journal_bytes is not None


def test_what_is_not_fitted_is_not_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {}, with_sensors=False)
    desk.health.look()
    beat = desk.beat()
    assert (beat.centi_celsius, beat.door_open, beat.peak_ma) == ({}, None, {})


def test_a_door_that_was_open_for_a_moment_is_told_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {})
    desk.board.set_door(True)
    desk.health.look()
    desk.board.set_door(False)
    desk.health.look()
    assert desk.beat().door_open
    assert desk.beat().door_open is False


def test_the_zones_are_judged_by_the_same_look(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"top": Limits(500, 1000, 0, ("A1",))})
    desk.board.set_temperature("top", 501)
    for second in (1, 2):
        desk.clock.time_ms = 1000 * second
        desk.health.look()
    assert desk.climate.refuses("A1")


def test_a_defrost_excuses_as_an_open_door_does(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"top": Limits(500, 1000, 5000, ("A1",))})
    desk.health.look()
    desk.clock.time_ms = 1000
    desk.board.set_defrost(True)
    desk.health.look()
    desk.board.set_temperature("top", 501)
    for second in range(2, 7):
        desk.clock.time_ms = 1000 * second
        desk.health.look()
        assert not desk.climate.refuses("A1")
    desk.clock.time_ms = 8000
    desk.health.look()
    assert desk.climate.refuses("A1")


def test_the_time_is_the_gateways_from_the_moment_it_tells_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {})
    assert desk.clock.now() is None
    desk.clock.time_ms = 5_000
    desk.clock.set({"now": 1_800_000_000})
    desk.clock.time_ms = 65_400
    assert desk.clock.now() == 1_800_000_060
    assert desk.beat().clock is ClockQuality.SYNCED


def test_the_words_are_the_contracts() -> None:
    assert set(hardware.RESET_CAUSES) == {cause.value for cause in ResetCause}
