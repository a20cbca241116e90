"""Each kind of motor, by what becomes of its lines while the timer ticks."""

from typing import Any

import pytest

from firmware.vending.checks import SettingsError
from firmware.vending.drivers import make_motor
from firmware.vending.lines import FULL
from firmware.vending.motors import GRACE_MS, Drive
from firmware.vending.settings import Slot
from firmware.vending.wiring import DC, SERVO, STEPPER, Dc, Line, Servo, Stepper
from tests.fakes.device_settings import SLOT

pytestmark = pytest.mark.criterion("8.7")

NEUTRAL, RUN = 1500 * FULL // 20_000, 1700 * FULL // 20_000


class FakeTimer:
    PERIODIC = 1

    def __init__(self) -> None:
        self.period = 0
        self.callback: Any = None

    def init(self, *, period: int, mode: int, callback: Any) -> None:
        self.period, self.callback = period, callback

    def deinit(self) -> None:
        self.period, self.callback = 0, None


class Bench:
    """Motors on lines that remember what is written to them."""

    def __init__(self, slots: dict[str, Slot]) -> None:
        self.now = 0
        self.levels: dict[int, int] = {}
        self.written: list[tuple[int, int]] = []
        self.timer = FakeTimer()
        self.ticks_at_each_write = False
        chips = [self]
        motors = {code: make_motor(code, slot, chips, lambda line: line.number) for code, slot in slots.items()}
        self.drive = Drive(slots, motors, chips, self.timer, lambda: self.now, lambda end, start: end - start)

    def write(self, number: int, level: int) -> None:
        """As the one chip whose lines are wired."""
        self.levels[number] = level
        self.written.append((number, level))
        if self.ticks_at_each_write and self.timer.callback:
            self.ticks_at_each_write = False
            self.timer.callback(self.timer)
            self.ticks_at_each_write = True

    def wait(self, ms: int) -> None:
        """The timer ticks as it was told to."""
        until = self.now + ms
        while self.timer.period and self.now + self.timer.period <= until:
            self.now += self.timer.period
            self.timer.callback(self.timer)
        self.now = until

    def on(self) -> list[int]:
        return sorted(number for number, level in self.levels.items() if level)


def pin(number: int) -> Line:
    return Line("", number)


def direct(number: int, **profile: Any) -> Slot:
    return SLOT._replace(motor=Dc(DC, pin(number), None, None), **profile)


def crossing(row: int, column: int, **profile: Any) -> Slot:
    return SLOT._replace(motor=Dc(DC, None, pin(row), pin(column)), **profile)


def servo(*gates: int, **profile: Any) -> Slot:
    row, column = [pin(gate) for gate in gates] or (None, None)
    return SLOT._replace(motor=Servo(SERVO, pin(1), 1700, 1500, row, column), **profile)


def stepper(*gates: int, **profile: Any) -> Slot:
    row, column = [pin(gate) for gate in gates] or (None, None)
    phases = tuple(pin(number) for number in (1, 2, 3, 4))
    return SLOT._replace(motor=Stepper(STEPPER, phases, 500, row, column), **{"max_ms": 10_000, **profile})


def test_a_dc_motor_is_on_until_it_is_stopped() -> None:
    bench = Bench({"A1": direct(1)})
    bench.drive.start("A1")
    bench.wait(300)
    assert bench.levels == {1: FULL}
    bench.drive.stop("A1")
    assert (bench.levels, bench.timer.period) == ({1: 0}, 0)


def test_a_soft_start_comes_to_full_speed_step_by_step() -> None:
    bench = Bench({"A1": direct(1, soft_start_ms=200)})
    bench.drive.start("A1")
    bench.written.clear()
    bench.wait(100)
    halfway = bench.levels[1]
    bench.wait(150)
    levels = [level for _, level in bench.written]
    assert levels == sorted(levels)
    assert FULL // 4 < halfway < FULL == bench.levels[1]
    assert len(set(levels)) > 10


def test_in_a_matrix_row_and_column_are_on_and_nothing_else() -> None:
    bench = Bench({"A1": crossing(1, 8), "A2": crossing(1, 9), "B1": crossing(2, 8)})
    bench.drive.start("A2")
    bench.wait(50)
    assert bench.on() == [1, 9]
    bench.drive.stop("A2")
    assert bench.on() == []
    bench.drive.start("B1")
    assert bench.on() == [2, 8]


def test_two_motors_of_a_matrix_never_turn_together() -> None:
    bench = Bench({"A1": crossing(1, 8), "B2": crossing(2, 9), "C1": direct(3)})
    bench.drive.start("A1")
    with pytest.raises(ValueError, match="same lines"):
        bench.drive.start("B2")
    assert bench.on() == [1, 8]
    bench.drive.start("C1")
    bench.drive.stop("A1")
    assert bench.on() == [3]
    bench.drive.start("B2")
    assert bench.on() == [2, 3, 9]


def test_a_servo_runs_and_stops_at_neutral() -> None:
    bench = Bench({"A1": servo(soft_start_ms=100)})
    bench.drive.start("A1")
    assert bench.levels[1] == NEUTRAL
    bench.wait(50)
    assert NEUTRAL < bench.levels[1] < RUN
    bench.wait(100)
    assert bench.levels[1] == RUN
    bench.drive.stop("A1")
    assert bench.levels[1] == NEUTRAL


def test_a_servo_of_a_matrix_has_no_supply_when_it_stands() -> None:
    bench = Bench({"A1": servo(7, 8)})
    bench.drive.start("A1")
    assert bench.written[0] == (1, NEUTRAL)
    assert bench.levels == {1: RUN, 7: FULL, 8: FULL}
    bench.drive.stop("A1")
    assert bench.levels == {1: 0, 7: 0, 8: 0}


def test_a_stepper_goes_through_its_half_steps_and_rests_without_current() -> None:
    bench = Bench({"A1": stepper()})
    bench.drive.start("A1")
    seen = [bench.on()]
    for _ in range(8):
        bench.wait(2)
        seen.append(bench.on())
    assert seen == [[1], [1, 2], [2], [2, 3], [3], [3, 4], [4], [1, 4], [1]]
    bench.wait(6)
    bench.drive.stop("A1")
    assert bench.on() == []
    bench.drive.start("A1")
    assert bench.on() == [2, 3], "it goes on where its rotor stands"


def test_a_stepper_turns_as_fast_as_it_was_told_and_starts_slower() -> None:
    def half_steps(slot: Slot, ms: int) -> int:
        bench = Bench({"A1": slot})
        bench.drive.start("A1")
        bench.written.clear()
        bench.wait(ms)
        return len(bench.written)

    slow = stepper()._replace(motor=stepper().motor._replace(half_steps_per_s=200))
    assert half_steps(stepper(), 1000) == 500
    assert half_steps(slow, 1000) == 200
    assert 250 < half_steps(stepper(soft_start_ms=1000), 1000) < 350


def test_a_stepper_of_a_matrix_shares_its_phases() -> None:
    bench = Bench({"A1": stepper(7, 8), "A2": stepper(7, 9)})
    bench.drive.start("A2")
    assert bench.on() == [1, 7, 9]
    bench.drive.stop("A2")
    assert bench.on() == []


@pytest.mark.parametrize("slot", [direct(1), crossing(1, 2), servo(7, 8), stepper()])
def test_a_motor_that_the_program_forgets_stops_by_itself(slot: Slot) -> None:
    bench = Bench({"A1": slot._replace(max_ms=400)})
    bench.drive.start("A1")
    bench.wait(400)
    assert bench.on()
    bench.wait(GRACE_MS)
    assert bench.on() == []


def test_the_timer_is_as_fast_as_the_motors_that_turn() -> None:
    bench = Bench({"A1": stepper(), "A2": direct(9), "A3": direct(10, soft_start_ms=300)})
    for code, period in (("A2", 250), ("A3", 10), ("A1", 2)):
        bench.drive.start(code)
        assert bench.timer.period == period
    for code, period in (("A1", 10), ("A3", 250)):
        bench.drive.stop(code)
        assert bench.timer.period == period


def test_a_slot_without_a_motor_is_for_simulators_only() -> None:
    with pytest.raises(SettingsError, match=r"slots\.A1\.motor is missing"):
        Bench({"A1": SLOT._replace(motor=None)})


@pytest.mark.parametrize(
    "slot", [direct(1, soft_start_ms=100), crossing(1, 2, soft_start_ms=100), servo(7, 8), stepper()]
)
def test_a_tick_in_the_midst_of_a_stop_starts_nothing_again(slot: Slot) -> None:
    bench = Bench({"A1": slot, "A2": direct(9)})
    bench.drive.start("A1")
    bench.drive.start("A2")
    bench.wait(30)
    bench.ticks_at_each_write = True
    bench.drive.stop("A1")
    assert bench.on() == [9]


def test_an_expander_that_falls_silent_keeps_no_other_motor_on() -> None:
    class Silent(Bench):
        def write(self, number: int, level: int) -> None:
            if number == 1 and self.now > 0:
                raise OSError(19, "no such device")
            super().write(number, level)

    bench = Silent({"A1": direct(1, max_ms=500), "B1": direct(9, max_ms=500)})
    bench.drive.start("A1")
    bench.drive.start("B1")
    bench.wait(500 + GRACE_MS + 250)
    assert bench.on() == [1]
