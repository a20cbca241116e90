"""The chips that hang on a device in the VM do what their data sheets say, before any driver of the firmware's.

What is expected here was read in TI's SCLS041 and SCLS116, NXP's PCA9685 and Maxim's 19-7487.
"""

import json
import subprocess
from typing import Any

import pytest

from tests.firmware.vm.device import HERE, NODE
from tests.firmware.vm.wiring import PWM, ROMS, SHIFT, SWITCHES, THERMOMETER_PIN

Step = tuple[Any, ...]
SHOWS: Step = ("shows",)


def on_bench(steps: list[Step], **wired: Any) -> list[Any]:
    """What each step says."""
    arguments = [str(NODE), str(HERE / "bench.mjs"), json.dumps(wired), json.dumps(steps)]
    ran = subprocess.run(arguments, capture_output=True, check=False, timeout=20, text=True)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def bits_in(bits: list[int]) -> list[Step]:
    """Shifted into the 74HC595s, the first one farthest."""
    pulses = [(("pin", SHIFT["data"], bit), ("pin", SHIFT["clock"], 1), ("pin", SHIFT["clock"], 0)) for bit in bits]
    return [step for pulse in pulses for step in pulse]


LATCHED: list[Step] = [("pin", SHIFT["latch"], 0), ("pin", SHIFT["latch"], 1)]
ENABLED: Step = ("pin", SHIFT["enable"], 0)


def on_595s(*steps: Step) -> list[Any]:
    return on_bench([("pin", SHIFT["clock"], 0), *steps], expanders={"shift": SHIFT})


def test_a_74hc595_shows_what_was_shifted_once_it_is_latched_and_enabled() -> None:
    third = [0] * 20 + [1, 0, 0, 0]
    told = on_595s(*bits_in(third), SHOWS, ENABLED, SHOWS, *LATCHED, SHOWS, *bits_in([1]), SHOWS, ("pin", 13, 1), SHOWS)
    shows = [one for one in told if isinstance(one, dict)]
    held, before, latched, shifted, disabled = shows
    assert held == disabled == {}
    assert before, "what it holds at power-on is anything"
    assert latched == shifted == {"shift:3": [1, 0]}


def test_a_74hc595_keeps_the_last_24_bits_and_moves_at_rising_edges_only() -> None:
    told = on_595s(
        *bits_in([1] * 5 + [0] * 24), *LATCHED, ENABLED, SHOWS, ("pin", 21, 1), ("pin", 22, 0), *LATCHED, SHOWS
    )
    assert [one for one in told if isinstance(one, dict)] == [{}, {}]


def read_165s(count: int) -> list[Step]:
    clock = SWITCHES["clock"]
    return [step for _ in range(count) for step in (("read", 35), ("pin", clock, 1), ("pin", clock, 0))]


def on_165s(*steps: Step) -> list[Any]:
    started: list[Step] = [("pin", SWITCHES["clock"], 0), ("pin", SWITCHES["latch"], 1)]
    return on_bench([*started, *steps], expanders={"switches": SWITCHES})


LOAD: list[Step] = [("pin", SWITCHES["latch"], 0), ("pin", SWITCHES["latch"], 1)]


@pytest.mark.parametrize("number", [0, 7, 8, 15])
def test_a_74hc165_gives_each_chips_highest_input_first(number: int) -> None:
    told = on_165s(("input", f"switches:{number}", 0), *LOAD, *read_165s(18))
    levels = [level for level in told if level is not None]
    place = 8 * (number // 8) + 7 - number % 8
    assert levels == [0 if at == place else 1 for at in range(16)] + [0, 0], "then what its serial input has"


def test_a_74hc165_holds_what_it_loaded_and_does_not_shift_while_it_loads() -> None:
    moved: Step = ("input", "switches:7", 0)
    assert [level for level in on_165s(*LOAD, moved, ("read", 35)) if level is not None] == [1]
    loading: list[Step] = [("pin", SWITCHES["latch"], 0), moved]
    assert [level for level in on_165s(*loading, *read_165s(3)) if level is not None] == [0, 0, 0]


AWAKE: list[Step] = [("i2c", 0x40, "0020"), ENABLED]
HZ_50: list[Step] = [("i2c", 0x40, "0010"), ("i2c", 0x40, "fe79")]


def on_pwm(*steps: Step) -> tuple[list[bool], list[dict[str, Any]]]:
    """What it acknowledged, and what it showed."""
    told = on_bench(list(steps), expanders={"pwm": PWM})
    return [one for one in told if isinstance(one, bool)], [one for one in told if isinstance(one, dict)]


def test_a_pca9685_drives_nothing_before_it_is_awake_told_to_and_enabled() -> None:
    whole: Step = ("i2c", 0x40, "0600100000")
    assert on_pwm(*AWAKE, SHOWS)[1] == [{}]
    assert on_pwm(("i2c", 0x40, "0020"), whole, SHOWS, ENABLED, SHOWS)[1] == [{}, {"pwm:0": [1, 0]}]
    assert on_pwm(("i2c", 0x40, "0030"), whole, ENABLED, SHOWS)[1] == [{}], "asleep"
    assert on_pwm(ENABLED, ("i2c", 0x40, "0001"), whole, SHOWS)[1] == [{}], "all four bytes went to one register"


def test_a_pca9685_has_a_prescaler_that_only_sleep_lets_change() -> None:
    half: Step = ("i2c", 0x40, "4200000008")
    asleep = on_pwm(*HZ_50, *AWAKE, half, SHOWS)[1]
    assert asleep == [{"pwm:15": [0.5, 19988]}]
    assert on_pwm(*AWAKE, ("i2c", 0x40, "fe79"), half, SHOWS)[1] == [{"pwm:15": [0.5, 5079]}], "200 Hz as at power-on"


def test_a_pca9685_counts_from_on_to_off_and_off_comes_first() -> None:
    told = on_pwm(
        *(*HZ_50, *AWAKE, ("i2c", 0x40, "0600020006"), SHOWS, ("i2c", 0x40, "06000e0002"), SHOWS),
        *(("i2c", 0x40, "0600100010"), SHOWS),
    )
    assert told[1] == [{"pwm:0": [0.25, 19988]}, {"pwm:0": [0.25, 19988]}, {}]


def test_a_pca9685_switches_all_off_at_once_and_rolls_over_after_its_last_register() -> None:
    on: Step = ("i2c", 0x40, "0600100000" + "00100000")
    assert on_pwm(*AWAKE, on, SHOWS, ("i2c", 0x40, "fd10"), SHOWS)[1] == [{"pwm:0": [1, 0], "pwm:1": [1, 0]}, {}]
    assert on_pwm(*AWAKE, on, ("i2c", 0x40, "451030"), SHOWS)[1] == [{}], "MODE1 came next, and put it to sleep"


def test_a_pca9685_that_slept_with_outputs_on_waits_to_be_restarted() -> None:
    on: Step = ("i2c", 0x40, "0600100000")
    slept: list[Step] = [*AWAKE, on, ("i2c", 0x40, "0030"), ("i2c", 0x40, "0020")]
    assert on_pwm(*slept, SHOWS, ("i2c", 0x40, "00a0"), SHOWS)[1] == [{}, {"pwm:0": [1, 0]}]
    assert on_pwm(*slept, ("i2c", 0x40, "0a00000010"), SHOWS)[1] == [{"pwm:0": [1, 0]}], "a write restarts it too"


def test_only_the_chip_that_is_meant_acknowledges_and_reserved_registers_do_not() -> None:
    assert on_pwm(("i2c", 0x41, "0020"), ("i2c", 0x40, "0020"), ("i2c", 0x40, "4600"))[0] == [False, True, False]


def on_wire(*steps: Step, zones: dict[str, str | None] | None = None) -> list[Any]:
    return on_bench(list(steps), temperatures={"pin": THERMOMETER_PIN, "zones": ROMS if zones is None else zones})


def scratchpad(*chosen: int) -> list[Step]:
    return [("reset", 14), ("write", 14, *chosen, 0xBE), ("bytes", 14, 10)]


CONVERT: list[Step] = [("reset", 14), ("write", 14, 0xCC, 0x44)]
FRESH = [0x50, 0x05, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10, 0x1C]
"""85 °C, as sensors say it that were just switched on, with its checksum."""


def test_a_ds18b20_takes_its_time_to_measure() -> None:
    told = on_wire(
        *(("feel", "a", -10.125), *scratchpad(0xCC), *CONVERT, ("wait", 749), ("bit", 14), *scratchpad(0xCC)),
        *(("wait", 1), *scratchpad(0xCC)),
        zones={"a": None},
    )
    before, meanwhile, after = [one for one in told if isinstance(one, list)]
    assert before == meanwhile == [*FRESH, 0xFF], "then nobody pulls the wire low"
    assert after[:2] == [0x5E, 0xFF]
    assert told[7] == 0, "it says that it is busy"


def test_ds18b20s_answer_to_their_own_rom_and_together_to_none_in_good_order() -> None:
    felt: list[Step] = [("feel", "top", 25.0625), ("feel", "low", 0.5), *CONVERT, ("wait", 750)]
    roms = {zone: [0x55, *bytes.fromhex(rom)] for zone, rom in ROMS.items()}
    told = on_wire(*felt, *scratchpad(*roms["top"]), *scratchpad(*roms["low"]), *scratchpad(0x55, *[1] * 8))
    top, low, nobody = [one[:2] for one in told if isinstance(one, list)]
    assert (top, low, nobody) == ([0x91, 0x01], [0x08, 0x00], [0xFF, 0xFF])
    both = next(one for one in on_wire(*felt, *scratchpad(0xCC)) if isinstance(one, list))
    assert both[:2] == [0x91 & 0x08, 0x00], "what anybody pulls low is low"


def test_a_wire_without_sensors_answers_no_reset() -> None:
    assert on_wire(("reset", 14), ("reset", 15)) == [True, False]
