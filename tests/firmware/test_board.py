"""board.py over a stand-in for `machine` that records every level: safe at boot, turning when told, safe again."""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from inspect import iscoroutinefunction, signature
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import pytest

from firmware.vending.hardware import Hardware
from firmware.vending.settings import parse
from firmware.vending.wiring import Line

ROOT = Path(__file__).parents[2]
sys.path.append(str(Path(__file__).parent / "esp32"))
machine = importlib.import_module("machine")
onewire = importlib.import_module("onewire")
assemble = importlib.import_module("firmware.vending.board").assemble
Cabinet = importlib.import_module("firmware.vending.cabinet").Cabinet
BOARD_ONLY = importlib.import_module("firmware.vending.waking").BOARD_ONLY

ID = "01890000-0000-7000-8000-000000000001"
CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
SHIFT = {"kind": "74hc595", "data": 23, "clock": 18, "latch": 19, "enable": 5, "chips": 2}
PWM = {"kind": "pca9685", "address": 64, "enable": 13}
EXPANDERS = {"i2c": {"sda": 21, "scl": 22}, "expanders": {"s": SHIFT, "p": PWM}}
QUIET_MS = 40
INHIBITED = {"pin": 4, "minor_per_pulse": 100, "inhibit": {"pin": 15, "active": 0}}


@pytest.fixture(autouse=True)
def power() -> Iterator[None]:
    machine.power_on()
    machine.registers[64] = bytearray(256)
    onewire.sensors.clear()
    yield
    machine.power_on()


def wired(parts: dict[str, Any] | None = None, **slots: Any) -> Any:
    return assemble(parse(json.dumps(given(parts, slots)).encode()))


def dc(output: int, **more: Any) -> dict[str, Any]:
    """A slot with a DC motor."""
    return {"motor": {"kind": "dc", "output": output}, **more}


def given(parts: dict[str, Any] | None, slots: dict[str, Any]) -> dict[str, Any]:
    """settings.json"""
    return {
        "machine_id": ID,
        "device_id": ID,
        "currency": "INR",
        "ca_pem": CA,
        "board": parts or {},
        "slots": slots or {"A1": {"motor": {"kind": "dc", "output": 25}}},
    }


def on() -> set[Any]:
    """What drives a motor now: pins by number, those under PWM too, and expanders' outputs as Lines."""
    found: set[Any] = {number for number, duty in machine.duties.items() if duty}
    found |= {pin.number for pin in machine.outputs if machine.levels[pin.number]} - {5, 13, 15, 18, 19, 23}
    if 5 in machine.levels and not machine.levels[5]:
        found |= {Line("s", number) for number in shifted_out()}
    if 13 in machine.levels and not machine.levels[13]:
        registers = machine.registers[64]
        found |= {Line("p", number) for number in range(16) if not registers[9 + 4 * number] & 0x10}
    return found


def shifted_out() -> list[int]:
    """What the history of data, clock and latch leaves at the 74HC595s' outputs."""
    levels = {18: 0, 19: 0, 23: 0}
    held = latched = [1] * 16
    for number, level in machine.history:
        if level and not levels.get(number, 1):
            held = [levels[23], *held[:-1]] if number == 18 else held
            latched = held if number == 19 else latched
        if number in levels:
            levels[number] = level
    return [number for number, level in enumerate(latched) if level]


KINDS: list[tuple[dict[str, Any], set[Any]]] = [
    ({"kind": "dc", "output": 25}, {25}),
    ({"kind": "dc", "row": 25, "column": 26}, {25, 26}),
    ({"kind": "dc", "output": "s:9"}, {Line("s", 9)}),
    ({"kind": "dc", "row": "s:0", "column": "s:8"}, {Line("s", 0), Line("s", 8)}),
    ({"kind": "dc", "row": "p:0", "column": "s:8"}, {Line("p", 0), Line("s", 8)}),
    ({"kind": "dc", "output": "p:15"}, {Line("p", 15)}),
    ({"kind": "servo", "signal": 25, "row": 26, "column": 27}, {25, 26, 27}),
    ({"kind": "servo", "signal": "p:3", "row": "s:0", "column": 27}, {Line("p", 3), Line("s", 0), 27}),
    ({"kind": "stepper", "phases": [25, 26, 27, 32]}, {25}),
    ({"kind": "stepper", "phases": ["s:0", "s:1", "s:2", "s:3"], "row": 25, "column": 26}, {Line("s", 0), 25, 26}),
    ({"kind": "stepper", "phases": ["p:0", "p:1", "p:2", "p:3"]}, {Line("p", 0)}),
]


@pytest.mark.parametrize(("motor", "turning"), KINDS)
def test_a_motor_turns_when_told_and_stops(motor: dict[str, Any], turning: set[Any]) -> None:
    board = wired(EXPANDERS, A1={"motor": motor})
    assert on() == set()
    board.motor_on("A1", "a vend")
    assert on() == turning
    board.motor_off("A1")
    assert on() == set()
    board.motor_on("A1", "another")
    board.make_safe()
    assert on() == set()
    assert machine.timers[0].callback is None
    board.motor_on("A1", "a third")
    assert on()


def test_a_servo_on_a_pin_stops_with_neutral_pulses_and_is_silent_when_safe() -> None:
    board = wired(A1={"motor": {"kind": "servo", "signal": 25}})
    board.motor_on("A1", "")
    assert round(machine.duties[25] / 65535 * 20_000, -1) == 1700
    board.motor_off("A1")
    assert round(machine.duties[25] / 65535 * 20_000, -1) == 1500
    assert machine.frequencies == {25: 50}
    board.make_safe()
    assert machine.duties == {25: 0}


def test_the_timer_makes_a_soft_start() -> None:
    board = wired(A1={"motor": {"kind": "dc", "output": 25}, "soft_start_ms": 1})
    board.motor_on("A1", "")
    assert 0 < machine.duties[25] < 65535
    while machine.duties[25] < 65535:
        machine.timers[0].callback(machine.timers[0])


@pytest.mark.parametrize("motor", [motor for motor, _ in KINDS])
def test_at_boot_every_output_is_off_from_its_first_moment(motor: dict[str, Any]) -> None:
    parts = {**EXPANDERS, "coin": INHIBITED, "led": 33, "buzzer": 2}
    wired(parts, A1={"motor": motor})
    first: dict[int, int] = {}
    for number, level in machine.history:
        first.setdefault(number, level)
    high = {5, 13}
    assert {number for number, level in first.items() if level} == high
    assert {number for number, _ in machine.history[:2]} == high, "the chips that outlive a reset come first"
    assert machine.levels[15] == 0, "money is refused"
    assert all(machine.levels[number] for number in high)


def test_a_chip_that_does_not_answer_keeps_no_pin_from_being_safe() -> None:
    board = wired(EXPANDERS, A1={"motor": {"kind": "dc", "output": 25}}, A2={"motor": {"kind": "dc", "output": "p:0"}})
    board.motor_on("A1", "")
    board.motor_on("A2", "")
    machine.registers.clear()
    with pytest.raises(OSError, match="ENODEV"):
        board.make_safe()
    assert (machine.levels[25], machine.levels[5], machine.levels[13]) == (0, 1, 1)


def test_money_is_refused_until_allowed_and_counted_by_its_pulses() -> None:
    note = {"pin": 14, "active": 1, "values": {"2": 5000}, "inhibit": {"pin": 26, "active": 1}}
    fast = {"debounce_ms": 1, "quiet_ms": QUIET_MS}
    machine.levels[14] = 0
    board = wired({"coin": INHIBITED | fast, "note": note | fast})
    assert (machine.levels[15], machine.levels[26]) == (0, 1)
    board.accept_money(True)
    assert (machine.levels[15], machine.levels[26]) == (1, 0)
    machine.levels[14] = 0
    pulse(4, 0)
    assert taken(board) == 100
    pulse(14, 1)
    wait_us(1500)
    pulse(14, 1)
    assert taken(board) == 5000
    for _ in range(2):
        pulse(14, 1)
        wait_us(1500)
        pulse(14, 1)
        time.sleep(QUIET_MS / 1000)
    assert [taken(board) for _ in range(3)] == [5000, 5000, 0], "each note by itself, whenever they are taken"
    pulse(14, 1)
    time.sleep(QUIET_MS / 1000)
    pulse(4, 0)
    assert taken(board) == 100, "what has no value hides nothing"
    board.make_safe()
    assert (machine.levels[15], machine.levels[26]) == (0, 1)


def pulse(number: int, active: int) -> None:
    machine.drive_input(number, active)
    machine.drive_input(number, 1 - active)


def wait_us(microseconds: int) -> None:
    """What the board reads is the real clock."""
    began = time.monotonic_ns()
    while time.monotonic_ns() - began < microseconds * 1000:
        pass


def taken(board: Any) -> int:
    time.sleep(QUIET_MS / 1000)
    return int(board.take_money())


def test_the_drop_beam_counts_what_breaks_it_long_enough() -> None:
    board = wired({"drop": {"pin": 27, "min_us": 2000, "rest_ms": 0}})
    pulse(27, 0)
    assert board.drops("A1") == 0
    machine.drive_input(27, 0)
    wait_us(2500)
    assert board.drops("A1") == 1
    machine.drive_input(27, 1)
    assert board.drops("A1") == 1


def test_each_chute_counts_what_breaks_its_own_beam() -> None:
    chutes = {"left": {"pin": 27, "min_us": 0}, "right": {"pin": 22, "min_us": 0}, "unwatched": None}
    named = {"A1": dc(4, chute="left"), "A2": dc(13, chute="right"), "B1": dc(16, chute="unwatched"), "B2": dc(17)}
    board = wired({"drop": {"pin": 21, "min_us": 0}, "chutes": chutes}, **named)
    pulse(22, 0)
    assert [board.drops(code) for code in named] == [0, 1, None, 0]
    machine.drive_input(27, 0)
    assert [board.beam_is_blocked(code) for code in named] == [True, False, False, False]


def test_what_several_motors_draw_together_is_known_of_none() -> None:
    board = wired({"current": {"pin": 36, "mv_per_ampere": 500}}, A1=dc(25), A2=dc(26))
    for code, known in (("A1", True), ("A2", False)):
        board.motor_on(code, "vend")
        assert (board.current_ma("A1") is not None) == known
    board.motor_off("A1")
    assert board.current_ma("A2") is not None


@pytest.mark.parametrize(("active", "blocked"), [(0, 0), (1, 1)])
def test_a_beam_that_was_blocked_before_the_board_booted_is_seen(active: int, blocked: int) -> None:
    board = wired({"drop": {"pin": 27, "active": active}})
    machine.drive_input(27, 1 - blocked)
    assert not board.beam_is_blocked("A1")
    machine.levels[27] = blocked
    assert board.beam_is_blocked("A1")


def test_switches_door_current_and_temperature_are_told() -> None:
    onewire.sensors[b"\x28" * 8] = 64
    parts = {
        "door": {"pin": 14, "active": 1},
        "defrost": {"pin": 13, "active": 0},
        "current": {"pin": 36, "mv_per_ampere": 500, "zero_mv": 100},
        "temperatures": {"pin": 33, "zones": {"cabinet": None}},
        "pulled_up": [34],
    }
    board = wired(parts, A1={"motor": {"kind": "dc", "output": 25}, "home": 34, "empty": 27})
    assert (board.home("A1"), board.is_empty("A1"), board.door_is_open()) == (False, False, True)
    for number in (34, 27, 14):
        machine.drive_input(number, 0)
    assert (board.home("A1"), board.is_empty("A1"), board.door_is_open()) == (True, True, False)
    assert not board.is_defrosting()
    machine.drive_input(13, 0)
    assert board.is_defrosting()
    machine.microvolts[36] = 700_000
    assert board.current_ma("A1") == 1200
    machine.microvolts[36] = 50_000
    assert board.current_ma("A1") == 0
    assert board.temperatures() == {"cabinet": None}


@pytest.mark.parametrize(
    ("told", "register", "cause"),
    [
        (machine.PWRON_RESET, 1, "power_on"),
        (machine.WDT_RESET, 7, "watchdog"),
        (machine.WDT_RESET, 15, "brownout"),
        (machine.SOFT_RESET, 12, "software"),
        (machine.DEEPSLEEP_RESET, 5, "deep_sleep"),
        (machine.HARD_RESET, 14, "other"),
        (0, 0, "other"),
    ],
)
def test_it_knows_why_it_has_booted(told: int, register: int, cause: str) -> None:
    machine.mem32[machine.RESET_STATE] = register
    machine.causes.append(told)
    assert wired().reset_cause() == cause


def test_what_is_not_fitted_says_nothing() -> None:
    board = wired()
    told = (board.home("A1"), board.is_empty("A1"), board.drops("A1"), board.door_is_open(), board.current_ma("A1"))
    assert (told, board.temperatures(), board.take_money()) == ((None,) * 5, {}, 0)
    assert board.is_defrosting() is None
    assert not board.beam_is_blocked("A1")
    board.signal("idle")


def test_led_and_buzzer_tell_what_is_signalled() -> None:
    board = wired({"led": 26, "buzzer": 2})
    assert seen(board, "locked", 26) == "11110000" * 2
    assert seen(board, "fault", 2) == "10101000" + "00000000", "a sound comes once"
    assert seen(board, "fault", 2) == "0" * 16


def seen(board: Any, kind: str, number: int) -> str:
    board.signal(kind)
    levels = ""
    for _ in range(16):
        machine.timers[1].callback(machine.timers[1])
        levels += str(machine.levels[number])
    return levels


def test_slots_that_are_equal_but_for_their_wiring_are_one_once_the_board_is_there() -> None:
    slots: dict[str, Any] = {
        f"A{number}": {"motor": {"kind": "dc", "output": number}, "home": home} for number, home in ((2, 32), (4, 33))
    }
    slots["A5"] = {"motor": {"kind": "dc", "output": 25}, "turn_ms": 2000}
    settings = parse(json.dumps(given(None, slots)).encode())
    board = assemble(settings)
    assert settings.slots["A2"] is settings.slots["A4"] is not settings.slots["A5"]
    assert [slot.turn_ms for slot in settings.slots.values()] == [1500, 1500, 2000]
    assert (board.home("A2"), board.home("A5")) == (False, None)
    board.motor_on("A5", "")
    assert on() == {25}


def test_the_cabinet_does_all_that_is_asked_of_hardware() -> None:
    """It does not derive from the contract, which would be in RAM then."""
    asked = {name: method for name, method in vars(Hardware).items() if callable(method)}
    assert len(asked) > 15
    for name, method in asked.items():
        done = getattr(Cabinet, name)
        assert list(signature(done).parameters) == list(signature(method).parameters)
        assert iscoroutinefunction(done) == iscoroutinefunction(method)


def test_no_driver_is_imported_for_what_is_not_fitted() -> None:
    """What is imported is in RAM. In a process of its own, for this one has had other boards."""
    program = f"""
import sys
sys.path[:0] = {[str(ROOT), str(ROOT / "tests/firmware/esp32")]}
from tests.firmware.test_board import wired
for parts in {{}}, {{"drop": {{"pin": 27}}}}:
    wired(parts)
    print(*sorted(name[17:] for name in sys.modules if name.startswith("firmware.vending.")))
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    without_beam, with_beam = map(str.split, told.stdout.splitlines())
    drivers = {"beam", "motors", "panel", "pca9685", "pulses", "servo", "shift", "stepper", "thermometers"}
    assert drivers & set(without_beam) == {"motors"}
    assert drivers & set(with_beam) == {"motors", "beam"}


def test_what_board_py_makes_lets_it_be_forgotten() -> None:
    parts = {
        "drop": {"pin": 27},
        "door": {"pin": 14},
        "coin": INHIBITED,
        "led": 26,
        "current": {"pin": 36, "mv_per_ampere": 1},
    }
    board = wired({**EXPANDERS, **parts}, A1={"motor": {"kind": "dc", "output": "s:0"}, "home": 32})
    assert "firmware.vending.motors" in code_behind(board, set())
    assert not {f"firmware.vending.{name}" for name in BOARD_ONLY} & code_behind(board, set())


def code_behind(thing: Any, seen: set[int]) -> set[str]:
    """The modules of the classes and functions that `thing` holds; in MicroPython these keep all of a module alive."""
    if id(thing) in seen:
        return set()
    seen.add(id(thing))
    held = list(getattr(thing, "__dict__", {}).values()) if type(thing).__module__.startswith("firmware") else []
    if isinstance(thing, tuple | list):
        held += thing
    elif isinstance(thing, dict):
        held += thing.values()
    elif isinstance(thing, MethodType):
        held.append(thing.__self__)
    is_record = isinstance(thing, tuple)
    found = {thing.__module__ if isinstance(thing, FunctionType) else "" if is_record else type(thing).__module__}
    return found.union(*(code_behind(part, seen) for part in held))
