"""The motors of the cabinet in the VM turn by what turns real ones, and by nothing else."""

from itertools import pairwise

import pytest

from firmware.simulator.coil import TURN_S
from tests.firmware.vm.motors import HALF_STEPS_A_TURN, OFF, ServoMotor, Signal, StepperMotor, motor_of

ON = Signal(1, 0)
ROUND = ["a", "ab", "b", "bc", "c", "cd", "d", "da"]
"""Which phases of a 28BYJ-48 carry current at each half step."""


def pulses(high_us: float, period_us: int = 20_000) -> Signal:
    return Signal(high_us / period_us, period_us)


def steps(motor: StepperMotor, patterns: list[str]) -> int:
    """How many half steps it has turned by these, one after the other. One phase changes at a time."""
    before = motor.turned(0)
    for last, pattern in pairwise(["", *patterns]):
        for phase in sorted(set(pattern) - set(last)):
            motor.feel(phase, ON)
        for phase in sorted(set(last) - set(pattern)):
            motor.feel(phase, OFF)
    return round((motor.turned(0) - before) * HALF_STEPS_A_TURN / TURN_S)


def test_a_stepper_turns_by_its_phases_in_order_and_back_by_the_other_order() -> None:
    assert steps(StepperMotor(*"abcd"), [*(3 * ROUND), "a"]) == 24
    assert steps(StepperMotor(*"abcd"), ["a", *(3 * ROUND[::-1])]) == -24
    assert steps(StepperMotor(*"abcd"), [*(3 * ROUND[::2]), "a"]) == 24, "in whole steps too"


def test_a_stepper_whose_phases_are_in_a_wrong_order_gets_nowhere() -> None:
    for order in ("acbd", "abdc", "bacd"):
        assert abs(steps(StepperMotor(*order), 30 * ROUND)) < 30


def test_a_stepper_is_pulled_nowhere_by_opposite_phases_or_by_the_phase_opposite() -> None:
    for patterns in (["a", "ac"], ["a", "", "c"]):
        assert steps(StepperMotor(*"abcd"), patterns) == 0


@pytest.mark.parametrize(
    ("signal", "turns"),
    [
        (OFF, False),
        (ON, False),
        (pulses(1500), False),
        (pulses(1520), False),
        (pulses(1700), True),
        (pulses(1300), False),
        (pulses(3000), False),
        (pulses(1700, 5_000), False),
        (pulses(1700, 40_000), False),
    ],
)
def test_a_servo_turns_forwards_by_long_pulses_at_its_rate_only(signal: Signal, turns: bool) -> None:
    motor = ServoMotor("signal")
    motor.feel("signal", signal)
    assert motor.is_on is turns


def test_in_a_matrix_only_the_motor_whose_row_and_column_conduct_turns() -> None:
    for kind in ({"kind": "dc"}, {"kind": "servo", "signal": "s"}, {"kind": "stepper", "phases": list("abcd")}):
        motor = motor_of({**kind, "row": "row", "column": "column"})
        for line in motor.lines:
            motor.feel(line, pulses(1700))
        assert motor.is_on
        motor.feel("column", OFF)
        assert not motor.is_on
        motor.feel("column", ON)
        motor.feel("row", OFF)
        assert not motor.is_on
