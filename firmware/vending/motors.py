"""Motors, driven by their lines (expanders.py) and by time: a timer tells a motor that turns how long it has.

A motor has `start`, `tick` (the timer's, every TICK_MS; it makes no object) and `stop`. `gates` are the row and the
column of a matrix; they are on before anything else and off after it.
"""

from .checks import SettingsError
from .expanders import FULL
from .wiring import DC, SERVO, SERVO_HZ

DC_HZ = 1_000

GRACE_MS = 1_000
"""So long after its `max_ms` a motor stops by itself, should the program have forgotten it or be stuck."""


class DcMotor:
    """On while `line` is; with a soft start its share of time grows."""

    TICK_MS = 10

    def __init__(self, line, gates: tuple, soft_start_ms: int) -> None:
        self._line = line
        self._gates = gates
        self._soft_start_ms = soft_start_ms

    def start(self) -> None:
        for gate in self._gates:
            gate.write(FULL)
        self._line.write(FULL // 4 if self._soft_start_ms else FULL)

    def tick(self, ms: int) -> None:
        if self._soft_start_ms:
            self._line.write(_ramp(FULL // 4, FULL, ms, self._soft_start_ms))

    def stop(self) -> None:
        self._line.write(0)
        for gate in self._gates:
            gate.write(0)


class ServoMotor:
    """A continuous servo: the farther its pulses from the neutral ones, the faster it turns."""

    TICK_MS = 10

    def __init__(self, line, gates: tuple, run_us: int, neutral_us: int, soft_start_ms: int) -> None:
        self._line = line
        self._gates = gates
        self._run = _pulse(run_us)
        self._neutral = _pulse(neutral_us)
        self._soft_start_ms = soft_start_ms

    def start(self) -> None:
        self._line.write(self._neutral)
        for gate in self._gates:
            gate.write(FULL)
        self.tick(0)

    def tick(self, ms: int) -> None:
        self._line.write(_ramp(self._neutral, self._run, ms, self._soft_start_ms))

    def stop(self) -> None:
        """Neutral, not silent: some servos go on as they were told last. Behind a matrix it has no supply."""
        self._line.write(self._neutral)
        for gate in self._gates:
            gate.write(0)
        if self._gates:
            self._line.write(0)


class StepperMotor:
    """Four phases in half steps, of which each changes one phase. Without current when it stands."""

    TICK_MS = 2

    def __init__(self, phases: tuple, gates: tuple, half_steps_per_s: int, soft_start_ms: int) -> None:
        self._phases = phases
        self._gates = gates
        self._rate = half_steps_per_s
        self._soft_start_ms = soft_start_ms
        self._half_step = 0
        self._due = 0

    def start(self) -> None:
        for gate in self._gates:
            gate.write(FULL)
        first = self._half_step >> 1
        self._phases[first].write(FULL)
        if self._half_step & 1:
            self._phases[(first + 1) & 3].write(FULL)
        self._due = 0

    def tick(self, ms: int) -> None:
        """At most one half step: a timer that comes late makes it slower, and never lets it lose its rotor."""
        self._due = min(self._due + _ramp(self._rate // 4, self._rate, ms, self._soft_start_ms) * self.TICK_MS, 1999)
        if self._due < 1000:
            return
        self._due -= 1000
        half_step = self._half_step
        if half_step & 1:
            self._phases[half_step >> 1].write(0)
        else:
            self._phases[((half_step >> 1) + 1) & 3].write(FULL)
        self._half_step = (half_step + 1) & 7

    def stop(self) -> None:
        for phase in self._phases:
            phase.write(0)
        for gate in self._gates:
            gate.write(0)


class Drive:
    """All motors of the board. `timer` is a machine.Timer, `lines` turns a Line into what can be written."""

    def __init__(self, slots: dict, lines, timer, ticks_ms, ticks_diff) -> None:
        self._slots = slots
        self._motors = {code: make_motor(code, slots[code], lines) for code in slots}
        self._timer = timer
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._turning: tuple = ()
        """(slot, motor, started at, longest) each; replaced, never changed: the timer may look at it at any time."""

    def start(self, code: str) -> None:
        """Raises ValueError while another motor turns that hangs on the same lines."""
        slot = self._slots[code]
        for turning in self._turning:
            together = may_turn_together(slot.motor, self._slots[turning[0]].motor)
            if turning[0] != code and not together:
                raise ValueError("a motor on the same lines turns")
        self.stop(code)
        motor = self._motors[code]
        motor.start()
        self._turning += ((code, motor, self._ticks_ms(), slot.max_ms + GRACE_MS),)
        self._set_timer()

    def stop(self, code: str) -> None:
        """Raises OSError if an expander is silent."""
        try:
            # First, or a tick that comes in between lets it turn again.
            self._turning = tuple([turning for turning in self._turning if turning[0] != code])
        finally:
            self._motors[code].stop()
        self._set_timer()

    def forget(self) -> None:
        """No motor turns any more: somebody else has switched off all lines."""
        self._turning = ()
        self._timer.deinit()

    def _set_timer(self) -> None:
        self._timer.deinit()
        if self._turning:
            period = min([turning[1].TICK_MS for turning in self._turning])
            self._timer.init(period=period, mode=self._timer.PERIODIC, callback=self._on_timer)

    def _on_timer(self, timer: object) -> None:
        for turning in self._turning:
            ms = self._ticks_diff(self._ticks_ms(), turning[2])
            if ms < turning[3]:
                turning[1].tick(ms)
            else:
                turning[1].stop()


def make_motor(code: str, slot, lines):
    """The motor of a slot's wiring. Raises SettingsError without one, as a slot may be in a simulator."""
    wired = slot.motor
    if wired is None:
        raise SettingsError("slots." + code + ".motor is missing")
    gates = () if wired.row is None else (lines(wired.column), lines(wired.row))
    if wired.kind == DC:
        if gates:
            return DcMotor(gates[1], gates[:1], slot.soft_start_ms)
        return DcMotor(lines(wired.output), (), slot.soft_start_ms)
    if wired.kind == SERVO:
        return ServoMotor(lines(wired.signal), gates, wired.run_us, wired.neutral_us, slot.soft_start_ms)
    phases = tuple([lines(phase) for phase in wired.phases])
    return StepperMotor(phases, gates, wired.half_steps_per_s, slot.soft_start_ms)


def pwm_lines(slots: dict) -> dict:
    """Line → Hz, of those that need PWM: what a servo listens to, what a soft start of a DC motor drives."""
    lines: dict = {}
    for slot in slots.values():
        motor = slot.motor
        if motor is not None and motor.kind == SERVO:
            lines[motor.signal] = SERVO_HZ
        elif motor is not None and motor.kind == DC and slot.soft_start_ms:
            lines[motor.row or motor.output] = DC_HZ
    return lines


def may_turn_together(one, other) -> bool:
    """Whether two motors can turn at once: in a matrix, two more would turn with them."""
    return one.row is None or other.row is None


def _ramp(first: int, last: int, ms: int, whole_ms: int) -> int:
    """Between `first` and `last` while `whole_ms` pass, `last` ever after."""
    return last if ms >= whole_ms else first + (last - first) * max(ms, 0) // whole_ms


def _pulse(us: int) -> int:
    """The share of a servo's 20 ms."""
    return us * FULL // 20_000
