"""What light and sound tell; ten seconds on the button, and what they make a device forget."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from firmware.vending import factory_reset
from firmware.vending.front import Front, is_held, kind, press
from firmware.vending.hardware import Hardware
from firmware.vending.journal import Journal
from firmware.vending.signals import CREDIT, FAULT, IDLE, LOCKED, OFFLINE, RESET, VENDING
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.set_clock import SetClock
from tests.fakes.until import until

SPENT = -1
VEND = "01890000-0000-7000-8000-000000000001"


def held(*presses: tuple[bool, int]) -> int:
    """How many times a device is asked to forget; `presses` are (pressed, milliseconds) one after the other."""
    since: int | None = SPENT
    now = resets = 0
    for pressed, duration in presses:
        for _ in range(0, duration, 100):
            since = press(since, pressed, now)
            if is_held(since, now):
                since, resets = SPENT, resets + 1
            now += 100
    return resets


@pytest.mark.parametrize(
    ("presses", "resets"),
    [
        (((False, 500), (True, 30_000)), 1),
        (((False, 100), (True, 11_000), (False, 100), (True, 11_000)), 2),
        (((False, 100), (True, 9_900)), 0),
        (((False, 100), *(4 * ((True, 9_000), (False, 100)))), 0),
        (((True, 60_000),), 0),
        (((True, 60_000), (False, 100), (True, 11_000)), 1),
    ],
)
def test_ten_seconds_in_one_go_count_once_and_never_those_since_boot(
    presses: tuple[tuple[bool, int], ...], resets: int
) -> None:
    assert held(*presses) == resets


ACCEPTED, COIN = ("A", 1, 1, VEND, "A1"), ("C", VEND, 500)
ONLINE = SimpleNamespace(state="online", refused=False)
AWAY = SimpleNamespace(state="offline", refused=False)
REFUSED = SimpleNamespace(state="offline", refused=True)
COLD, WARM = SimpleNamespace(is_locked=lambda: False), SimpleNamespace(is_locked=lambda: True)


@pytest.mark.parametrize(
    ("records", "link", "climate", "told"),
    [
        ([], ONLINE, COLD, IDLE),
        ([COIN], ONLINE, None, CREDIT),
        ([COIN], AWAY, COLD, OFFLINE),
        ([], AWAY, WARM, LOCKED),
        ([], REFUSED, WARM, FAULT),
        ([ACCEPTED], REFUSED, WARM, VENDING),
    ],
)
def test_the_most_urgent_is_told(records: list[tuple[Any, ...]], link: Any, climate: Any, told: str) -> None:
    journal = Journal(MemoryFlash())
    for record in records:
        journal.append(record)
    assert kind(journal, link, climate) == told


def test_a_flash_that_has_failed_is_a_fault() -> None:
    flash = MemoryFlash()
    journal = Journal(flash)
    flash.full = True
    journal.note(COIN)
    assert kind(journal, ONLINE, None) == FAULT


class Pressed(Hardware):
    """Its button was up for one look, and is held since."""

    def __init__(self) -> None:
        self.looks = 0
        self.signals: list[str] = []
        self.restarts = 0

    def button_is_pressed(self) -> bool:
        self.looks += 1
        return self.looks > 1

    def signal(self, kind: str) -> None:
        if self.signals[-1:] != [kind]:
            self.signals.append(kind)

    def restart(self) -> None:
        self.restarts += 1


class NoHurry:
    """Till and dispenser of a machine that stands still."""

    def refuse(self) -> None:
        """Of no consequence."""

    async def rest(self) -> None:
        """It does."""


class HurryingClock(SetClock):
    def ms(self) -> int:
        self.time_ms += 450
        return self.time_ms


FILES = {
    "settings.json": b"{}",
    "settings.verified": b"1",
    "credentials.json": b"{}",
    "gateway.json": b"[]",
    "trust.json": b"{}",
    "label.json": b"{}",
    "climate.0": b"locked",
}


def parts(flash: MemoryFlash) -> Any:
    nothing = SimpleNamespace(coin=None, note=None)
    return SimpleNamespace(
        settings=SimpleNamespace(board=nothing),
        board=Pressed(),
        flash=flash,
        clock=HurryingClock(),
        journal=Journal(flash),
        till=NoHurry(),
        dispenser=NoHurry(),
        errands=SimpleNamespace(held=0),
    )


async def test_the_device_forgets_what_it_was_told_and_no_money() -> None:
    flash = MemoryFlash(FILES)
    Journal(flash).append(("C", VEND, 500))
    journal = {name: data for name, data in flash.files.items() if name.startswith("journal")}
    device = parts(flash)
    assert not await factory_reset.perform(device)
    assert device.board.restarts == 1
    assert not device.errands.held
    assert flash.files == journal | {name: FILES[name] for name in ("trust.json", "label.json", "climate.0")}
    assert Journal(flash).state.credits == ((VEND, 500),), "the next gateway hears of it"


async def test_nothing_is_forgotten_while_money_or_a_vend_would_be_lost() -> None:
    flash = MemoryFlash(FILES)
    device = parts(flash)
    device.journal.append(("A", 1, 1, VEND, "A1"))
    assert await factory_reset.perform(device)
    assert device.board.restarts == 0
    assert FILES.items() <= flash.files.items()


class Worn(MemoryFlash):
    def remove(self, name: str) -> None:
        if name == "credentials.json":
            raise OSError(5, "input/output error")
        super().remove(name)


async def test_a_reset_that_fails_half_way_keeps_the_settings_and_says_so() -> None:
    flash = Worn(FILES)
    device = parts(flash)
    assert await factory_reset.perform(device)
    assert device.board.restarts == 0
    assert "settings.json" in flash.files
    assert factory_reset.FORGOTTEN[-1] == "settings.json"


async def pressed(flash: MemoryFlash) -> Any:
    """A device whose button is held until it has restarted, or failed to and said so."""
    device = parts(flash)
    front = asyncio.create_task(Front(device, ONLINE, None).run())
    await until(lambda: device.board.restarts == 1 or device.board.signals[-1:] == [FAULT], 20)
    front.cancel()
    return device


async def test_the_lamp_tells_of_the_reset_before_it_happens() -> None:
    device = await pressed(MemoryFlash(FILES))
    assert device.board.signals == [IDLE, RESET]
    assert device.board.restarts == 1


async def test_the_lamp_tells_that_a_reset_failed() -> None:
    device = await pressed(Worn(FILES))
    assert device.board.signals == [IDLE, RESET, FAULT]
    assert device.board.restarts == 0


class Button(Pressed):
    """`story`: at each look, how long after the one before (ms), and whether it is pressed. The door is open."""

    def __init__(self, clock: SetClock, *story: tuple[int, bool]) -> None:
        super().__init__()
        self._clock, self._story = clock, list(story)

    def button_is_pressed(self) -> bool:
        if not self._story:
            raise asyncio.CancelledError
        pressed = self._story[0][1]
        self._story.pop(0)
        if self._story:
            self._clock.time_ms += self._story[0][0]
        return pressed


class Zones:
    """One is locked, until it is released by hand."""

    releases = 0

    def offers_release(self, board: Hardware) -> bool:
        return True

    def is_locked(self) -> bool:
        return not self.releases

    def unlock_by_hand(self) -> bool:
        self.releases += 1
        return True


def steps(count: int, pressed: bool) -> list[tuple[int, bool]]:
    return count * [(400, pressed)]


@pytest.mark.criterion("8.6")
@pytest.mark.parametrize(
    ("story", "releases"),
    [
        ([*steps(2, False), *steps(9, True), (100, False)], 1),
        ([*steps(2, False), *steps(7, True), (100, False)], 0),
        ([*steps(2, False), *steps(20, True), (100, False)], 0),
        ([*steps(2, False), *steps(1, True), (4_000, False)], 0),
        ([*steps(2, False), *steps(1, True), (3_500, True), (100, False)], 0),
        ([*steps(2, False), *steps(8, True), (100, False)], 0),
    ],
    ids=["3.2 s", "2.4 s", "7.6 s", "a tap before a block", "held over a block", "let go before it was offered"],
)
async def test_only_who_was_seen_to_hold_the_button_releases(story: list[tuple[int, bool]], releases: int) -> None:
    device, zones = parts(MemoryFlash(FILES)), Zones()
    device.clock = SetClock()
    device.board = Button(device.clock, *story, (100, False))
    with pytest.raises(asyncio.CancelledError):
        await Front(device, ONLINE, zones).run()
    assert zones.releases == releases


async def test_two_taps_around_a_block_make_no_device_forget() -> None:
    device = parts(MemoryFlash(FILES))
    device.clock = SetClock()
    device.board = Button(device.clock, *steps(2, False), *steps(1, True), (12_000, True), *steps(2, True))
    with pytest.raises(asyncio.CancelledError):
        await Front(device, ONLINE, None).run()
    assert device.board.restarts == 0
