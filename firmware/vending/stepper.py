"""Motors that turn step by step (motors.py says what a motor is)."""

from .lines import FULL, ramp


class StepperMotor:
    """Four phases in half steps, of which each changes one phase. Without current when it stands."""

    tick_ms = 2

    def __init__(self, phases: tuple, gates: tuple, half_steps_per_s: int, soft_start_ms: int) -> None:
        self._phases = phases
        self.gates = gates
        self._rate = half_steps_per_s
        self._soft_start_ms = soft_start_ms
        self._half_step = 0
        self._due = 0

    def start(self) -> None:
        for gate in self.gates:
            gate.write(FULL)
        first = self._half_step >> 1
        self._phases[first].write(FULL)
        if self._half_step & 1:
            self._phases[(first + 1) & 3].write(FULL)
        self._due = 0

    def tick(self, ms: int) -> None:
        """At most one half step: a timer that comes late makes it slower, and never lets it lose its rotor."""
        self._due = min(self._due + ramp(self._rate // 4, self._rate, ms, self._soft_start_ms) * self.tick_ms, 1999)
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
        for gate in self.gates:
            gate.write(0)
