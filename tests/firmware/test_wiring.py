"""Wrong pin maps, each refused with the setting's name; right ones taken."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.vending.checks import SettingsError
from firmware.vending.settings import MAX_SLOTS, parse

ROOT = Path(__file__).parents[2]
ID = "01890000-0000-7000-8000-000000000001"
CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
SHIFT = {"kind": "74hc595", "data": 23, "clock": 18, "latch": 19, "enable": 5, "chips": 2}
SWITCHES = {"kind": "74hc165", "data": 34, "clock": 16, "latch": 17, "chips": 8}
CHUTES = ("left", "right", "rear", "front")
PWM = {"kind": "pca9685", "address": 64, "enable": 13}
I2C = {"sda": 21, "scl": 22}
OUTPUTS = [4, 13, 16, 17, 18, 19, 21, 22, 23, 25, 26, 27, 32, 33]


def settings(board: Any = None, slots: Any = None) -> bytes:
    """A settings.json with this pin map."""
    values = {
        "machine_id": ID,
        "device_id": ID,
        "currency": "INR",
        "ca_pem": CA,
        "slots": slots or {"A1": {}},
        "board": board or {},
    }
    return json.dumps(values).encode()


def refusal(board: Any = None, slots: Any = None) -> str:
    """What the settings are refused for; "" if they are not."""
    try:
        parse(settings(board, slots))
    except SettingsError as error:
        return str(error)
    return ""


def dc(output: Any, **more: Any) -> dict[str, Any]:
    return {"motor": {"kind": "dc", "output": output}, **more}


def crossing(row: Any, column: Any, **more: Any) -> dict[str, Any]:
    return {"motor": {"kind": "dc", "row": row, "column": column}, **more}


def chips(**expanders: Any) -> dict[str, Any]:
    return {"i2c": I2C, "expanders": expanders}


RIGHT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"A1": dc(25, home=26, empty=27)}),
    ({}, {"A1": crossing(25, 26), "A2": crossing(25, 27), "B1": crossing(32, 26), "B2": crossing(32, 27)}),
    (chips(s=SHIFT, t=SWITCHES), {"A1": dc("s:0", home="t:0"), "A2": dc("s:15", home="t:63")}),
    (chips(p=PWM), {"A1": {"motor": {"kind": "servo", "signal": "p:15"}}, "A2": dc("p:0", soft_start_ms=300)}),
    ({}, {"A1": {"motor": {"kind": "stepper", "phases": [25, 26, 27, 32]}}}),
    ({"button": None}, {"A1": dc(25)}),
    ({"button": 14}, {"A1": dc(25)}),
    ({"pulled_up": [34], "drop": {"pin": 34}}, {"A1": dc(2), "A2": dc(12)}),
    ({"current": {"pin": 36, "mv_per_ampere": 500}, "led": 2, "buzzer": 12}, {"A1": dc(25, jam_ma=900)}),
    (
        {
            "coin": {"pin": 4, "minor_per_pulse": 100, "inhibit": {"pin": 16}},
            "note": {"pin": 5, "values": {"1": 1000}, "inhibit": {"pin": 17}},
        },
        {},
    ),
]


@pytest.mark.parametrize(("board", "slots"), RIGHT)
def test_a_right_pin_map_is_taken(board: dict[str, Any], slots: dict[str, Any]) -> None:
    assert refusal(board, slots) == ""


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"button": 2}, {}, "board.button: pin 2 must be low at boot"),
    ({"button": 34}, {}, "board.button: pin 34 has no pull-up"),
    ({"button": 25}, {"A1": dc(25)}, "board.button: pin 25 is already slots.A1.motor.output's"),
    ({"button": "s:1"}, {}, "board.button must be a pin's number"),
    ({}, {"A1": dc(6)}, "slots.A1.motor.output: pin 6 is wired to the flash"),
    ({}, {"A1": dc(20)}, "slots.A1.motor.output: pin 20 does not exist"),
    ({}, {"A1": dc(37)}, "slots.A1.motor.output: pin 37 does not exist"),
    ({}, {"A1": dc(99)}, "slots.A1.motor.output must be a pin's number"),
    ({}, {"A1": dc(34)}, "slots.A1.motor.output: pin 34 is an input only"),
    ({}, {"A1": dc(25, home=35)}, "slots.A1.home: pin 35 has no pull-up"),
    ({}, {"A1": dc(0)}, "slots.A1.motor.output: pin 0 is the boot button"),
    ({}, {"A1": dc(1)}, "slots.A1.motor.output: pin 1 is the serial line"),
    ({}, {"A1": dc(25, home=3)}, "slots.A1.home: pin 3 is the serial line"),
    ({}, {"A1": dc(5)}, "slots.A1.motor.output: pin 5 is high while the chip boots"),
    ({}, {"A1": crossing(15, 25)}, "slots.A1.motor.row: pin 15 is high while the chip boots"),
    ({}, {"A1": dc(25, home=12)}, "slots.A1.home: pin 12 must be low at boot"),
    ({"pulled_up": [12]}, {"A1": dc(12)}, "slots.A1.motor.output: pin 12 must be low at boot"),
    ({"i2c": {"sda": 2, "scl": 22}}, {}, "board.i2c.sda: pin 2 must be low at boot"),
    ({}, {"A1": dc(25), "A2": dc(25)}, "slots.A2.motor.output: pin 25 is already slots.A1.motor.output's"),
    ({}, {"A1": dc(25, home=25)}, "slots.A1.home: pin 25 is already slots.A1.motor.output's"),
    ({}, {"A1": crossing(25, 26), "A2": crossing(25, 26)}, "slots.A2.motor hangs on the same lines as slots.A1.motor"),
    ({}, {"A1": crossing(25, 26), "A2": crossing(26, 27)}, "slots.A2.motor.row: pin 26 is already"),
    ({}, {"A1": crossing(25, 26), "A2": dc(26)}, "slots.A2.motor.output: pin 26 is already"),
    ({}, {"A1": {"motor": {"kind": "dc", "row": 25}}}, "slots.A1.motor needs row and column, or neither"),
    ({}, {"A1": {"motor": {"kind": "dc"}}}, "slots.A1.motor needs either an output or a row and a column"),
    ({}, {"A1": {"motor": {"kind": "ac"}}}, "slots.A1.motor.kind must be"),
    ({}, {"A1": {"motor": {"kind": "stepper", "phases": [25, 26, 27]}}}, "slots.A1.motor.phases must list four"),
    ({}, {"A1": {"motor": {"kind": "stepper", "phases": [25, 26, 27, 25]}}}, "phases must be four different lines"),
    ({}, {"A1": dc("s:0")}, "slots.A1.motor.output: s is no expander for this"),
    (chips(t=SWITCHES), {"A1": dc("t:0")}, "slots.A1.motor.output: t is no expander for this"),
    (chips(s=SHIFT), {"A1": dc(25, home="s:0")}, "slots.A1.home: s is no expander for this"),
    (chips(s=SHIFT), {"A1": dc("s:16")}, "slots.A1.motor.output: s has lines 0 to 15"),
    (chips(p=PWM), {"A1": dc("p:16")}, "slots.A1.motor.output: p has lines 0 to 15"),
    (chips(s=SHIFT), {"A1": dc("s:²")}, "slots.A1.motor.output must be a pin's number, or"),
    (chips(s=SHIFT), {"A1": dc("s:x")}, "slots.A1.motor.output must be a pin's number, or"),
    (chips(s=SHIFT), {"A1": dc("s:0", soft_start_ms=99)}, "slots.A1.motor.output needs PWM"),
    (chips(s=SHIFT), {"A1": {"motor": {"kind": "servo", "signal": "s:0"}}}, "slots.A1.motor.signal needs PWM"),
    (
        chips(p=PWM | {"hz": 200}),
        {"A1": {"motor": {"kind": "servo", "signal": "p:0"}}},
        "board.expanders.p.hz to be 50",
    ),
    (chips(p=PWM, q=PWM | {"enable": 14}), {}, "board.expanders.q.address is already that of board.expanders.p"),
    (chips(p=PWM | {"address": 112}), {}, "board.expanders.p.address must not be 112"),
    ({"expanders": {"p": PWM}}, {}, "board.expanders.p needs board.i2c"),
    ({"expanders": {"p": {"kind": "pca9685", "address": 64}}}, {}, "board.expanders.p.enable is missing"),
    (chips(s={**SHIFT, "enable": 12}), {}, "board.expanders.s.enable: pin 12 must be low at boot"),
    (chips(s={**SHIFT, "clock": 21}), {}, "board.expanders.s.clock: pin 21 is already board.i2c.sda's"),
    (chips(s={**SHIFT, "chips": 9}), {}, "board.expanders.s.chips must be 1 to 8"),
    ({"current": {"pin": 25, "mv_per_ampere": 1}}, {}, "board.current.pin: pin 25 cannot measure while Wi-Fi is on"),
    ({}, {"A1": dc(25, jam_ma=900)}, "slots.A1.jam_ma needs board.current"),
    ({}, {"A1": dc(25, draw_ma=900)}, "slots.A1.draw_ma needs board.power_ma"),
    ({"power_ma": 800}, {"A1": dc(25, draw_ma=900)}, "slots.A1.draw_ma is more than board.power_ma"),
    ({"power_ma": 900}, {"A1": crossing(25, 26, draw_ma=900)}, "slots.A1.draw_ma: a motor of a matrix turns alone"),
    ({"power_ma": 0}, {}, "board.power_ma must be 1 to 100000 mA"),
    ({}, {"A1": dc(25, chute="left")}, "slots.A1.chute is none of board.chutes"),
    ({"chutes": {"left": {"pin": 25}}}, {"A1": dc(25)}, "board.chutes.left.pin: pin 25 is already"),
    ({"chutes": dict.fromkeys("abcde")}, {}, "board.chutes must name 4 chutes at most"),
    ({"chutes": {"left": {}}}, {}, "board.chutes.left.pin is missing"),
    (
        {
            "coin": {"pin": 4, "minor_per_pulse": 1, "inhibit": {"pin": 16}},
            "note": {"pin": 4, "minor_per_pulse": 1, "inhibit": {"pin": 17}},
        },
        {},
        "board.note.pin: pin 4 is already board.coin.pin's",
    ),
    ({"coin": {"pin": 4, "minor_per_pulse": 1}}, {}, "board.coin.inhibit is missing"),
    ({"coin": {"pin": 4}}, {}, "board.coin needs either minor_per_pulse or values"),
    ({"note": {"pin": 4, "values": {"x": 1}}}, {}, "board.note.values must be keyed by 1 to 200 pulses"),
    ({"pulled_up": [36], "drop": {"pin": 36}}, {}, "board.drop.pin: pin 36 dips whenever the radio wakes"),
    (
        {"temperatures": {"pin": 4, "zones": {"a": None, "b": None}}},
        {},
        "board.temperatures.zones.a must be 16 hex digits",
    ),
    ({"bell": 4}, {}, "board has an unknown setting: bell"),
    ({}, {f"A{number}": {} for number in range(1, MAX_SLOTS + 2)}, "slots must name 1 to 60 slots"),
]


@pytest.mark.parametrize(("board", "slots", "reason"), WRONG, ids=[reason for _, _, reason in WRONG])
def test_a_wrong_pin_map_is_refused_with_its_reason(board: Any, slots: Any, reason: str) -> None:
    assert reason in refusal(board, slots)


def test_sixty_motors_with_home_switches_fit_on_one_board() -> None:
    expanders = {"s": SHIFT, "t": SWITCHES}
    slots = {
        f"{'ABCDEF'[n // 10]}{n % 10}": crossing(f"s:{n // 10}", f"s:{6 + n % 10}", home=f"t:{n}") for n in range(60)
    }
    assert refusal(chips(**expanders), slots) == ""


@given(st.lists(st.sampled_from(OUTPUTS), min_size=2, max_size=8))
def test_a_pin_has_one_user(pins: list[int]) -> None:
    slots = {f"A{number}": dc(pin) for number, pin in enumerate(pins)}
    assert (refusal({}, slots) == "") == (len(set(pins)) == len(pins))


@given(st.recursive(st.none() | st.integers() | st.text(max_size=4), lambda inner: st.lists(inner, max_size=4)))
def test_no_nonsense_is_worse_than_refused(nonsense: Any) -> None:
    names = ("i2c", "expanders", "pulled_up", "drop", "door", "temperatures", "coin", "note", "buzzer", "current")
    for name in names:
        refusal({name: nonsense})
        refusal({"expanders": {"s": {**SHIFT, "chips": nonsense}}, name: nonsense})
    for name in ("motor", "home", "empty", "jam_ma"):
        refusal({}, {"A1": {name: nonsense}})
    refusal({}, {"A1": {"motor": {"kind": nonsense, "output": nonsense}}})


def test_the_checks_need_nothing_of_micropython() -> None:
    """So a cloud can refuse a pin map with the reason that the device would give."""
    run = (
        "import sys; import firmware.vending.pins; "
        "sys.exit(any(name in sys.modules for name in ('machine', 'network', 'socket', 'ssl', 'asyncio')))"
    )
    subprocess.run([sys.executable, "-c", run], cwd=ROOT, timeout=20, check=True)


def test_the_readme_shows_settings_that_work() -> None:
    shown = (ROOT / "firmware/README.md").read_text().split("```json\n")[1].split("```")[0]
    wifi = {"ssid": "site", "password": "x" * 8}  # what is left out there
    parse(json.dumps({**json.loads(shown), "ca_pem": CA, "wifi": wifi}).encode())


@pytest.mark.parametrize(
    ("power_ma", "slots", "at_once"),
    [
        (None, {"A1": {}, "B1": {"chute": "left"}}, 1),
        (1000, {"A1": {}, "B1": {"chute": "left"}}, 1),
        (1000, {"A1": {"draw_ma": 500}, "A2": {"draw_ma": 100}}, 1),
        (1000, {"A1": {"draw_ma": 500}, "B1": {"chute": "left", "draw_ma": 501}}, 1),
        (1000, {"A1": {"draw_ma": 500}, "B1": {"chute": "left", "draw_ma": 500}}, 2),
        (1000, {"A1": {"draw_ma": 500}, "A2": {"draw_ma": 900}, "B1": {"chute": "left", "draw_ma": 500}}, 2),
        (1000, {f"A{number}": {"chute": chute, "draw_ma": 100} for number, chute in enumerate(CHUTES)}, 4),
        (1000, {f"A{number}": {"chute": chute, "draw_ma": 1} for number, chute in enumerate((*CHUTES, None))}, 4),
    ],
)
def test_how_many_motors_may_turn_at_once(power_ma: int | None, slots: dict[str, Any], at_once: int) -> None:
    board = {"power_ma": power_ma, "chutes": dict.fromkeys(CHUTES)}
    assert parse(settings(board, slots)).at_once == at_once
