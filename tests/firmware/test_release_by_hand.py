"""A locked zone is released at the machine: by whoever has opened its door, with no gateway and no network."""

import asyncio
from types import SimpleNamespace

import pytest

from firmware.vending.front import Front, may_let_go
from firmware.vending.hardware import Hardware
from firmware.vending.journal import Journal
from firmware.vending.signals import FAULT, LOCKED, OFFLINE, RELEASE, RELEASED, RESET
from tests.fakes.cold_cabinet import HOT, LIMITS, REQUEST, WARM_S, Cabinet
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.set_clock import SetClock
from tests.fakes.until import until

AWAY = SimpleNamespace(state="offline", refused=False)
LOOK_MS = 500


@pytest.fixture
def cabinet() -> Cabinet:
    """All of it is locked, and still warm."""
    cabinet = Cabinet(limits=LIMITS._replace(slots=("A1", "A2")))
    cabinet.live(1)
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S)
    assert cabinet.climate.is_locked()
    return cabinet


@pytest.mark.parametrize(
    ("since", "now", "may"),
    [
        (0, 2_999, False),
        (0, 3_000, True),
        (0, 6_999, True),
        (0, 7_000, False),
        (None, 5_000, False),
        (-1, 4_000, False),
    ],
)
def test_a_button_is_let_go_in_time_or_in_vain(since: int | None, now: int, may: bool) -> None:
    assert may_let_go(since, now) is may


class Button(Hardware):
    """Up for one look, held for so many, and up again."""

    def __init__(self, held_looks: int, door: bool | None) -> None:
        self.looks = 0
        self.signals: list[str] = []
        self._held_looks = held_looks
        self._door = door

    def button_is_pressed(self) -> bool:
        self.looks += 1
        return 1 < self.looks <= 1 + self._held_looks

    def door_is_open(self) -> bool | None:
        return self._door

    def signal(self, kind: str) -> None:
        if self.signals[-1:] != [kind]:
            self.signals.append(kind)


class HurryingClock(SetClock):
    def ms(self) -> int:
        self.time_ms += LOOK_MS
        return self.time_ms


async def told_after_letting_go(cabinet: Cabinet, held_ms: int, door: bool | None) -> list[str]:
    """What the lamp has told when that was heard."""
    board = Button(held_ms // LOOK_MS, door)
    parts = SimpleNamespace(board=board, clock=HurryingClock(), journal=Journal(MemoryFlash()))
    front = asyncio.create_task(Front(parts, AWAY, cabinet.climate).run())
    await until(lambda: board.looks > 2 + held_ms // LOOK_MS or board.signals[-1:] == [FAULT], 20)
    front.cancel()
    return board.signals


@pytest.mark.criterion("8.6")
@pytest.mark.parametrize("door", [True, None])
async def test_a_button_let_go_before_an_open_door_releases_what_is_locked(cabinet: Cabinet, door: bool | None) -> None:
    assert await told_after_letting_go(cabinet, 6_000, door) == [LOCKED, RESET, RELEASE, RELEASED, OFFLINE]
    assert not cabinet.climate.has_lock()


@pytest.mark.parametrize(("held_ms", "door"), [(4_000, False), (2_000, True), (8_000, True)])
async def test_a_shut_door_a_touch_and_who_thinks_better_of_it_release_nothing(
    cabinet: Cabinet, held_ms: int, door: bool
) -> None:
    signals = await told_after_letting_go(cabinet, held_ms, door)
    assert (signals[0], RESET in signals, RELEASED in signals, signals[-1]) == (LOCKED, True, False, LOCKED)
    assert cabinet.climate.has_lock()


async def test_a_release_that_the_flash_does_not_take_is_none_and_the_lamp_says_so(cabinet: Cabinet) -> None:
    cabinet.flash.full = True
    assert (await told_after_letting_go(cabinet, 4_000, True))[-1] == FAULT
    assert cabinet.climate.has_lock()
    assert cabinet.released() is None


@pytest.mark.criterion("8.6")
def test_who_released_is_never_forgotten_and_what_stays_warm_locks_again() -> None:
    cabinet = Cabinet("top", "bottom")
    cabinet.live(1)
    cabinet.told.is_connected = False
    cabinet.celsius["top"] = HOT
    cabinet.live(WARM_S)
    assert cabinet.climate.unlock_by_hand()
    assert not cabinet.climate.has_lock()
    release = cabinet.released()
    assert release is not None
    assert release[1], "by hand"
    for _ in range(2):
        assert (cabinet.released("top"), cabinet.released("bottom")) == (release, None)
        cabinet.boot()
    cabinet.live(WARM_S - 60)
    assert not cabinet.is_locked
    cabinet.live(61)
    assert cabinet.is_locked
    assert cabinet.released("top") == release
    cabinet.release()
    assert cabinet.released("top") == (REQUEST, False)


def test_a_release_by_hand_lets_no_earlier_request_release_again(cabinet: Cabinet) -> None:
    cabinet.release()
    cabinet.live(WARM_S + 1)
    cabinet.climate.unlock_by_hand()
    cabinet.live(WARM_S + 1)
    assert cabinet.is_locked
    assert cabinet.release()["state"] == "done", "answered again"
    assert cabinet.is_locked


def test_a_request_that_found_nothing_locked_has_released_nothing() -> None:
    cabinet = Cabinet()
    cabinet.live(1)
    assert cabinet.release()["state"] == "done"
    assert cabinet.released() is None
