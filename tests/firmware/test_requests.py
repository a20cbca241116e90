"""Requests of people: a restart that never comes twice, and a motor that is turned by hand, before an open door."""

import asyncio
import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from firmware.simulator.board import SimulatedBoard
from firmware.simulator.coil import Habits
from firmware.simulator.world import read_world
from firmware.vending import factory_reset, jog, probation, requests, restart, rules, service_pin
from firmware.vending.clock import Clock
from firmware.vending.errands import Parts
from firmware.vending.journal import MAX_CREDITS, Journal
from firmware.vending.service_pin import FILE, FIRST_WAIT_MS, FREE_TRIES, MAX_WRONG
from firmware.vending.settings import Settings
from firmware.vending.till import Till
from firmware.vending.wiring import NO_PARTS, Switch
from shared.upkeep import RequestAnswer, RequestState
from tests.fakes.device_settings import SETTINGS, SLOT
from tests.fakes.memory_flash import MemoryFlash
from tests.fakes.set_clock import SetClock
from tests.fakes.until import until

DEVICE, BOOT = "01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"
REQUEST = "01890000-0000-7000-8000-0000000000{:02x}"
PIN = "271828"
FITTED = SETTINGS._replace(
    device_id=DEVICE,
    service_pin_sha256=hashlib.sha256(f"{DEVICE}:{PIN}".encode()).hexdigest(),
    board=NO_PARTS._replace(door=Switch(14, 1)),
    slots={"A1": SLOT, "A2": SLOT._replace(max_ms=100)},
)


class Board(SimulatedBoard):
    """It counts its restarts."""

    restarts = 0

    def restart(self) -> None:
        self.restarts += 1


class HurryingClock(Clock):
    """The seconds for which a restart waits pass in no time."""

    def ms(self) -> int:
        return 40 * super().ms()


class Bench:
    """A device around a flash; `boot` makes it anew around the same one."""

    def __init__(self, folder: Path, settings: Settings = FITTED) -> None:
        self.folder = folder
        self.flash = MemoryFlash()
        self.settings = settings
        self.told: list[RequestAnswer] = []
        self.boot()

    def boot(self, clock: Clock | None = None) -> None:
        clock = clock or Clock()
        self.board = Board(self.settings, self.folder, Habits(speed=10))
        self.journal = Journal(self.flash)
        self.till = Till(clock, self.journal, "INR")
        self.held, self.locked_until_ms = 0, 0
        self.rests = 0
        device: Any = self
        known = (self.settings, self.board, self.flash, clock, self.journal, device, device, BOOT, device)
        self.parts = Parts(*known, self.till)

    async def rest(self) -> None:
        assert self.held, "a vend may begin meanwhile"
        assert not self.till.is_open(), "a coin may be taken that nobody will have counted"
        self.rests += 1

    def tell(self, channel: str, payload: bytes) -> None:
        assert channel == "answer"
        self.told.append(RequestAnswer.model_validate_json(payload))

    async def jog(self, number: int = 1, slot: str = "A1", pin: str = PIN) -> RequestAnswer:
        fields = {"request_id": REQUEST.format(number), "slot": slot, "pin": pin}
        await jog.perform(self.parts, fields)
        return self.told[-1]

    async def restart(self, number: int = 1) -> RequestAnswer:
        await restart.perform(self.parts, {"request_id": REQUEST.format(number)})
        return self.told[-1]

    def starts(self) -> dict[str, int]:
        return dict(read_world(self.folder).motor_starts)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.board.set_door(is_open=True)
    return bench


async def test_a_jog_turns_the_motor_once_and_tells_what_was_seen(bench: Bench) -> None:
    told = await bench.jog()
    assert (told.state, told.reason) == (RequestState.DONE, None)
    assert told.evidence is not None
    assert (told.evidence.drop, told.evidence.left_home) == (True, True)
    assert bench.starts() == {REQUEST.format(1): 1}
    assert bench.journal.state == rules.EMPTY, "a jog is no vend"
    assert not bench.held


async def test_a_request_that_is_repeated_is_answered_again_and_done_once(bench: Bench) -> None:
    first = await bench.jog()
    assert await bench.jog() == first
    bench.boot()
    assert await bench.jog() == first
    assert bench.starts() == {REQUEST.format(1): 1}


async def test_a_power_cut_in_mid_jog_is_no_vend_and_leads_to_no_second_turn(bench: Bench) -> None:
    turning = asyncio.create_task(bench.jog())
    await until(lambda: bool(bench.starts()))
    files = dict(bench.flash.files)
    turning.cancel()
    bench.flash.files = files
    bench.boot()
    assert bench.journal.state == rules.EMPTY
    told = await bench.jog()
    assert (told.state, told.reason) == (RequestState.REFUSED, "the power went before it was over")
    assert bench.starts() == {REQUEST.format(1): 1}


async def test_a_power_cut_at_any_byte_of_what_is_written_leads_to_one_start_at_most(bench: Bench) -> None:
    await bench.jog(1)
    bench.flash.writes.clear()
    await bench.jog(2)
    before_start = [files for write in bench.flash.writes[:2] for files in write.cuts()]
    after_start = [files for write in bench.flash.writes[2:] for files in write.cuts()]
    for files, may_turn in [(files, True) for files in before_start] + [(files, False) for files in after_start]:
        known = {entry[0] for entry in json.loads(files[requests.FILE])}
        assert REQUEST.format(1) in known
        assert may_turn or REQUEST.format(2) in known


async def test_what_cannot_be_written_down_is_not_begun(bench: Bench) -> None:
    bench.flash.full = True
    with pytest.raises(OSError, match="no space"):
        await bench.jog()
    assert bench.starts() == {}
    assert not bench.held


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pin": "0000"}, "the PIN is wrong"),
        ({"slot": "B9"}, "there is no such slot"),
    ],
)
async def test_a_wrong_request_turns_nothing(bench: Bench, fields: dict[str, Any], reason: str) -> None:
    told = await bench.jog(**fields)
    assert (told.state, told.reason) == (RequestState.REFUSED, reason)
    assert bench.starts() == {}


async def test_the_door_must_be_open_and_stay_so(bench: Bench) -> None:
    bench.board.set_door(is_open=False)
    assert (await bench.jog()).reason == "the door is shut"
    bench.board.set_door(is_open=True)
    bench.board.jam("A1", jammed=True)
    turning = asyncio.create_task(bench.jog(2))
    await until(lambda: bool(bench.starts()))
    assert bench.held, "a vend is refused meanwhile"
    bench.board.set_door(is_open=False)
    told = await turning
    assert told.state is RequestState.DONE
    assert told.evidence is not None
    assert told.evidence.motor_ms is not None
    assert told.evidence.motor_ms < SLOT.max_ms


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (FITTED._replace(board=NO_PARTS), "the door has no switch"),
        (FITTED._replace(service_pin_sha256=None), "the settings have no service PIN"),
    ],
)
async def test_a_machine_without_the_means_refuses(tmp_path: Path, settings: Settings, reason: str) -> None:
    bench = Bench(tmp_path, settings)
    with suppress(ValueError):
        bench.board.set_door(is_open=True)
    assert (await bench.jog()).reason == reason


async def test_nothing_is_turned_by_hand_while_a_vend_is_open(bench: Bench) -> None:
    bench.journal.append(("A", 1, 1, REQUEST.format(9), "A1"))
    assert (await bench.jog()).reason == "a vend is open"
    assert bench.starts() == {}


async def test_whoever_guesses_waits_ever_longer(bench: Bench) -> None:
    clock = SetClock()
    bench.boot(clock)
    bench.board.set_door(is_open=True)
    for number in range(FREE_TRIES):
        assert (await bench.jog(number, pin="0000")).reason == "the PIN is wrong"
    await bench.jog(0, pin="0000")
    assert (await bench.jog(20)).reason == "too many wrong PINs: wait 30 s"
    clock.time_ms = FIRST_WAIT_MS
    assert (await bench.jog(21, pin="0001")).reason == "the PIN is wrong"
    assert (await bench.jog(22)).reason == "too many wrong PINs: wait 60 s"
    clock.time_ms = 3 * FIRST_WAIT_MS
    bench.journal.append(("A", 1, 1, REQUEST.format(99), "A1"))
    tried = bench.flash.files[FILE]
    for pin in ("0002", PIN):
        assert (await bench.jog(23, pin=pin)).reason == "a vend is open", "nothing is learned of the PIN"
    assert bench.flash.files[FILE] == tried


async def test_before_a_shut_door_no_pin_is_judged(bench: Bench) -> None:
    bench.board.set_door(is_open=False)
    assert (await bench.jog(1, pin="0000")).reason == (await bench.jog(2)).reason == "the door is shut"
    assert FILE not in bench.flash.files


async def test_no_power_cut_takes_back_how_often_a_pin_was_wrong(bench: Bench) -> None:
    for number in range(2 * FREE_TRIES):
        clock = SetClock()
        bench.boot(clock)
        bench.board.set_door(is_open=True)
        clock.time_ms = 4_000
        told = await bench.jog(number, pin="0000")
        assert told.reason == ("the PIN is wrong" if number < FREE_TRIES else "too many wrong PINs: wait 26 s")
    clock.time_ms = FIRST_WAIT_MS
    assert service_pin.refusal(bench.parts, PIN) is None
    assert FILE not in bench.flash.files, "a right one begins the count anew"


@pytest.mark.parametrize("wrong", range(MAX_WRONG))
async def test_a_cut_at_any_byte_of_the_count_loses_the_last_guess_at_most(bench: Bench, wrong: int) -> None:
    if wrong:
        bench.flash.files[FILE] = str(wrong).encode()
    bench.boot(SetClock())
    bench.flash.writes.clear()
    assert service_pin.refusal(bench.parts._replace(clock=Later()), "0000") == "the PIN is wrong"
    for write in bench.flash.writes:
        for files in write.cuts():
            assert int(files.get(FILE, b"0")) in (wrong, wrong + 1)


class Later(SetClock):
    def ms(self) -> int:
        """Any wait is over."""
        return 10**9


async def test_guessing_wears_no_flash_out(bench: Bench) -> None:
    for _ in range(200):
        bench.locked_until_ms = 0
        assert service_pin.refusal(bench.parts._replace(clock=Later()), "0000") == "the PIN is wrong"
    assert len([write for write in bench.flash.writes if FILE in write.files]) <= 2 * MAX_WRONG
    assert bench.flash.files[FILE] == str(MAX_WRONG).encode()


@pytest.mark.parametrize("damage", ["full", "garbage"])
async def test_where_nobody_can_count_every_guess_is_the_last(bench: Bench, damage: str) -> None:
    clock = SetClock()
    bench.boot(clock)
    if damage == "full":
        bench.flash.full = True
        assert service_pin.refusal(bench.parts, "0000") == "the PIN is wrong"
    else:
        bench.flash.files[FILE] = b"\xff?"
    assert service_pin.refusal(bench.parts, PIN) == "too many wrong PINs: wait 3840 s"


class DeafBoard(Board):
    """Its expander goes silent once the motor turns."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.done: list[str] = []

    def motor_off(self, slot: str) -> None:
        raise OSError("silent")

    def make_safe(self) -> None:
        self.done.append("safe")
        super().make_safe()
        raise OSError("silent")

    def restart(self) -> None:
        self.done.append("restart")


async def test_a_board_that_does_not_stop_its_motor_is_made_safe_and_restarted(bench: Bench) -> None:
    board = DeafBoard(bench.settings, bench.folder, Habits(speed=10))
    board.set_door(is_open=True)
    bench.parts = bench.parts._replace(board=board)
    with pytest.raises(OSError, match="silent"):
        await bench.jog()
    assert board.done == ["safe", "restart"]


async def test_the_wait_grows_within_bounds(bench: Bench) -> None:
    clock = SetClock()
    bench.boot(clock)
    waits = []
    for number in range(20):
        await bench.jog(number, pin="0000")
        waits.append(max(0, bench.locked_until_ms - clock.time_ms))
        clock.time_ms = bench.locked_until_ms
    assert waits == sorted(waits)
    assert (waits[3], waits[4], waits[-1]) == (0, 30_000, 3_840_000)


async def test_a_restart_answers_first_and_never_comes_twice(bench: Bench) -> None:
    bench.boot(HurryingClock())
    told = await bench.restart()
    assert told.state is RequestState.DONE
    assert (bench.board.restarts, bench.rests) == (1, 1)
    bench.boot(HurryingClock())
    assert await bench.restart() == told
    assert bench.board.restarts == 0


async def test_a_restart_shuts_the_till_first(bench: Bench) -> None:
    bench.boot(HurryingClock())
    bench.till.allow("INR")
    await bench.restart()
    assert not bench.till.is_open()


async def test_a_restart_that_cannot_be_written_down_does_not_happen(bench: Bench) -> None:
    bench.boot(HurryingClock())
    bench.flash.full = True
    await restart.perform(bench.parts, {"request_id": REQUEST.format(1)})
    assert bench.board.restarts == 0
    assert bench.told == []
    assert not bench.held


@pytest.mark.parametrize("why", ["a vend is open", "credits wait to be acknowledged", "the journal cannot be written"])
async def test_nobody_loses_anything_by_a_restart(bench: Bench, why: str) -> None:
    bench.boot(HurryingClock())
    if why == "a vend is open":
        bench.journal.append(("A", 1, 1, REQUEST.format(9), "A1"))
    else:
        for number in range(MAX_CREDITS if why.startswith("credits") else 1):
            bench.journal.note(("C", REQUEST.format(number), 100))
    bench.journal.failed = why.startswith("the journal")
    told = await bench.restart()
    assert (told.state, told.reason) == (RequestState.REFUSED, why)
    assert bench.board.restarts == 0
    assert not bench.held


async def test_the_newest_requests_are_remembered(bench: Bench) -> None:
    for number in range(requests.KEPT + 3):
        await bench.jog(number, slot="B9")
    known = [entry[0] for entry in json.loads(bench.flash.files[requests.FILE])]
    assert known == [REQUEST.format(number) for number in range(3, requests.KEPT + 3)]


@pytest.mark.parametrize("who", ["jog", "restart", "factory reset", "release on trial"])
async def test_whoever_is_done_frees_the_motors_for_himself_only(bench: Bench, who: str) -> None:
    """Somebody else needs that no vend begins, before and after."""
    bench.boot(HurryingClock())
    bench.board.set_door(is_open=True)
    bench.held = 1
    if who == "jog":
        assert (await bench.jog()).state is RequestState.DONE
    else:
        bench.journal.append(("A", 1, 1, REQUEST.format(9), "A1"))
    if who == "restart":
        assert (await bench.restart()).state is RequestState.REFUSED
    elif who == "factory reset":
        assert await factory_reset.perform(bench.parts)
    elif who == "release on trial":
        await probation._boot_again(bench.parts)
    assert bench.board.restarts == 0
    assert bench.held == 1
