"""The watchdog is fed as long as all parts live, and by nothing else."""

import asyncio
from pathlib import Path

import pytest

from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import Habits
from firmware.vending import vigil
from firmware.vending.vigil import DISPENSER, LIMITS_MS, LINK, SENSORS, Vigil
from tests.fakes.device_settings import SETTINGS
from tests.fakes.set_clock import SetClock
from tests.fakes.until import until


class WatchedBoard(SimulatedBoard):
    """Counts what its watchdog gets."""

    fed = 0

    def feed_watchdog(self) -> None:
        self.fed += 1


class Guarded:
    """A vigil over a board's watchdog."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.board = WatchedBoard(SETTINGS, folder, Habits())
        self.vigil = Vigil(self.board, self.clock)


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


@pytest.mark.parametrize("part", [DISPENSER, SENSORS, LINK])
def test_a_part_is_silent_once_its_limit_has_passed(guarded: Guarded, part: str) -> None:
    guarded.clock.time_ms = 1_000_000
    for other in LIMITS_MS:
        guarded.vigil.lives(other)
    guarded.clock.time_ms += LIMITS_MS[part]
    assert part not in guarded.vigil.silent()
    guarded.clock.time_ms += 1
    assert part in guarded.vigil.silent()
    guarded.vigil.lives(part)
    assert part not in guarded.vigil.silent()


def test_a_part_that_never_speaks_is_missed(guarded: Guarded) -> None:
    guarded.clock.time_ms = max(LIMITS_MS.values()) + 1
    assert guarded.vigil.silent() == [LINK, SENSORS]


def test_nothing_is_expected_of_a_part_that_rests(guarded: Guarded) -> None:
    guarded.vigil.lives(DISPENSER)
    assert DISPENSER in guarded.vigil.expected()
    guarded.vigil.rests(DISPENSER)
    assert DISPENSER not in guarded.vigil.expected()
    guarded.vigil.rests(DISPENSER)


async def test_one_silent_part_starves_the_watchdog_until_it_speaks(
    guarded: Guarded, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in LIMITS_MS:
        guarded.vigil.lives(part)
    looking = asyncio.create_task(guarded.vigil.run())
    await until(lambda: guarded.board.fed >= 1)
    guarded.clock.time_ms = LIMITS_MS[SENSORS] + 1
    fed = guarded.board.fed
    await asyncio.sleep(2.5 * vigil.LOOK_S)
    assert guarded.board.fed == fed
    guarded.vigil.lives(SENSORS)
    await until(lambda: guarded.board.fed > fed)
    looking.cancel()
    told = capsys.readouterr().out
    assert told.count('"parts": ["sensors"]') == 1
    assert told.count('"parts": []') == 1
