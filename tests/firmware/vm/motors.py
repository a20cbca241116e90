"""Motors as their data sheets have them: what they make of the lines they hang on, and what that is to their coils."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from firmware.simulator.coil import TURN_S


class Signal(NamedTuple):
    """What is on a line: high for this share of each period. What is high or low throughout has no period."""

    share: float
    period_us: int

    @property
    def high_us(self) -> float:
        return self.share * self.period_us


OFF = Signal(0, 0)


class Motor(Protocol):
    """A motor between its lines. Without power all of them are OFF."""

    @property
    def lines(self) -> Sequence[str]:
        """What it hangs on."""

    def feel(self, line: str, signal: Signal) -> None:
        """One of its lines changes."""

    @property
    def is_on(self) -> bool:
        """Whether it draws current to move."""

    def turned(self, now: float) -> float:
        """The coil's own time in seconds, of which a turn takes TURN_S at its usual pace; `now` is the world's."""


class DcMotor:
    """Between a driver or the two of a matrix: it turns while all of them conduct, now and then or throughout."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self._conducting: set[str] = set()

    def feel(self, line: str, signal: Signal) -> None:
        if signal.share > 0:
            self._conducting.add(line)
        else:
            self._conducting.discard(line)

    @property
    def is_on(self) -> bool:
        return self._conducting == set(self.lines)

    def turned(self, now: float) -> float:
        return now


SERVO_PERIODS_US = (15_000, 25_000)
SERVO_PULSES_US = (500, 2500)
SERVO_NEUTRAL_US, SERVO_DEAD_BAND_US = 1500, 30


class ServoMotor:
    """A continuous servo such as the FS90R: some 50 pulses a second, longer ones than neutral turn it forwards.

    It stands at neutral ones, and at what is no pulse for it.
    """

    def __init__(self, line: str) -> None:
        self.lines = (line,)
        self._signal = OFF

    def feel(self, line: str, signal: Signal) -> None:
        self._signal = signal

    @property
    def is_on(self) -> bool:
        (shortest, longest), (least, most) = SERVO_PULSES_US, SERVO_PERIODS_US
        is_pulse = shortest <= self._signal.high_us <= longest and least <= self._signal.period_us <= most
        return is_pulse and self._signal.high_us - SERVO_NEUTRAL_US > SERVO_DEAD_BAND_US

    def turned(self, now: float) -> float:
        return now


HALF_STEPS_A_TURN = 1024
"""Of the coil, by the gear 1:16; with the usual one, 1:64, a test would wait four times as long."""
_HALF_STEP_OF = {0b0001: 0, 0b0011: 1, 0b0010: 2, 0b0110: 3, 0b0100: 4, 0b1100: 5, 0b1000: 6, 0b1001: 7}
"""Which phases carry current → where in its eight half steps the rotor comes to rest."""


class StepperMotor:
    """A 28BYJ-48: the rotor goes to where its phases pull it, if that is less than half a round of them away.

    The coil goes with it forwards and back; phases in a wrong order make it tremble.
    """

    def __init__(self, *phases: str) -> None:
        self.lines = phases
        self._on = [False] * len(phases)
        self._half_steps = 0

    def feel(self, line: str, signal: Signal) -> None:
        self._on[self.lines.index(line)] = signal.share > 0
        place = _HALF_STEP_OF.get(sum(1 << phase for phase, on in enumerate(self._on) if on))
        if place is None:
            return
        way = (place - self._half_steps + 4) % 8 - 4
        if way != -4:
            self._half_steps += way

    @property
    def is_on(self) -> bool:
        return any(self._on)

    def turned(self, now: float) -> float:
        return self._half_steps * TURN_S / HALF_STEPS_A_TURN


class Supplied:
    """A motor whose supply comes through the row and the column of a matrix: without it, no line tells it anything."""

    def __init__(self, motor: Motor, *gates: str) -> None:
        self._motor = motor
        self._gates = gates
        self._signals: dict[str, Signal] = {}
        self.lines = (*gates, *motor.lines)

    def feel(self, line: str, signal: Signal) -> None:
        self._signals[line] = signal
        has_supply = all(self._signals.get(gate, OFF).share > 0 for gate in self._gates)
        for own in self._motor.lines:
            self._motor.feel(own, self._signals.get(own, OFF) if has_supply else OFF)

    @property
    def is_on(self) -> bool:
        return self._motor.is_on

    def turned(self, now: float) -> float:
        return self._motor.turned(now)


def motor_of(wired: dict[str, Any]) -> Motor:
    """The motor that hangs where a slot's settings say."""
    gates = [str(wired[name]) for name in ("row", "column") if name in wired]
    if wired["kind"] == "dc":
        return DcMotor(*gates) if gates else DcMotor(str(wired["output"]))
    is_servo = wired["kind"] == "servo"
    motor = ServoMotor(str(wired["signal"])) if is_servo else StepperMotor(*map(str, wired["phases"]))
    return Supplied(motor, *gates) if gates else motor
