"""Motors that are told their speed by the length of a pulse (motors.py says what a motor is)."""

from .lines import FULL, ramp


class ServoMotor:
    """A continuous servo: the farther its pulses from the neutral ones, the faster it turns."""

    tick_ms = 10

    def __init__(self, line, gates: tuple, run_us: int, neutral_us: int, soft_start_ms: int) -> None:
        self._line = line
        self.gates = gates
        self._run = _pulse(run_us)
        self._neutral = _pulse(neutral_us)
        self._soft_start_ms = soft_start_ms

    def start(self) -> None:
        self._line.write(self._neutral)
        for gate in self.gates:
            gate.write(FULL)
        self.tick(0)

    def tick(self, ms: int) -> None:
        self._line.write(ramp(self._neutral, self._run, ms, self._soft_start_ms))

    def stop(self) -> None:
        """Neutral, not silent: some servos go on as they were told last. Behind a matrix it has no supply."""
        self._line.write(self._neutral)
        for gate in self.gates:
            gate.write(0)
        if self.gates:
            self._line.write(0)


def _pulse(us: int) -> int:
    """The share of a servo's 20 ms."""
    return us * FULL // 20_000
