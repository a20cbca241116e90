"""Motors, driven by their lines (lines.py) and by time: a timer tells a motor that turns how long it has.

A motor has `start`, `tick` (the timer's, every `tick_ms`; it makes no object) and `stop`. `gates` are the row and the
column of a matrix, if it hangs in one; they are on before anything else and off after it. Servos and steppers are in
files of their own.
"""

from .lines import FULL, line_at, ramp

GATE = 1 << 15
"""A DC motor that stands is kept as a number: the place of its line, and in a matrix GATE times that of its column."""

GRACE_MS = 1_000
"""So long after its `max_ms` a motor stops by itself, should the program have forgotten it or be stuck."""


class DcMotor:
    """On while `line` is; with a soft start its share of time grows."""

    def __init__(self, line, gates: tuple, soft_start_ms: int) -> None:
        # Without a soft start a tick only stops what has turned too long: seldom is enough, for ticks that wait in the
        # ESP32's short queue leave no room for the edges of beam and coins.
        self.tick_ms = 10 if soft_start_ms else 250
        self._line = line
        self.gates = gates
        self._soft_start_ms = soft_start_ms

    def start(self) -> None:
        for gate in self.gates:
            gate.write(FULL)
        self._line.write(FULL // 4 if self._soft_start_ms else FULL)

    def tick(self, ms: int) -> None:
        if self._soft_start_ms:
            self._line.write(ramp(FULL // 4, FULL, ms, self._soft_start_ms))

    def stop(self) -> None:
        self._line.write(0)
        for gate in self.gates:
            gate.write(0)


class Drive:
    """All motors of the board, by their slots, those of DC as numbers. `timer` is a machine.Timer."""

    def __init__(self, slots: dict, motors: dict, chips: list, timer, ticks_ms, ticks_diff) -> None:
        self._slots = slots
        self._motors = motors
        self._chips = chips
        self._timer = timer
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._turning: tuple = ()
        """(slot, motor, started at, longest) each; replaced, never changed: the timer may look at it at any time."""

    def start(self, code: str) -> None:
        """Raises ValueError while another motor turns that hangs on the same lines."""
        motor = self._motor(code)
        for turning in self._turning:
            if turning[0] != code and not may_turn_together(motor, turning[1]):
                raise ValueError("a motor on the same lines turns")
        self.stop(code)
        motor.start()
        self._turning += ((code, motor, self._ticks_ms(), self._slots[code].max_ms + GRACE_MS),)
        self._set_timer()

    def stop(self, code: str) -> None:
        """Raises OSError if an expander is silent."""
        motor = self._motor(code)
        try:
            # First, or a tick that comes in between lets it turn again.
            self._turning = tuple([turning for turning in self._turning if turning[0] != code])
        finally:
            motor.stop()
        self._set_timer()

    def count(self) -> int:
        """How many motors turn."""
        return len(self._turning)

    def forget(self) -> None:
        """No motor turns any more: somebody else has switched off all lines."""
        self._turning = ()
        self._timer.deinit()

    def _motor(self, code: str):
        """The motor that turns, or one that can."""
        for turning in self._turning:
            if turning[0] == code:
                return turning[1]
        wired = self._motors[code]
        if not isinstance(wired, int):
            return wired
        gates = (line_at(self._chips, wired // GATE),) if wired >= GATE else ()
        return DcMotor(line_at(self._chips, wired % GATE), gates, self._slots[code].soft_start_ms)

    def _set_timer(self) -> None:
        self._timer.deinit()
        if self._turning:
            period = min([turning[1].tick_ms for turning in self._turning])
            self._timer.init(period=period, mode=self._timer.PERIODIC, callback=self._on_timer)

    def _on_timer(self, timer: object) -> None:
        for turning in self._turning:
            ms = self._ticks_diff(self._ticks_ms(), turning[2])
            try:
                if ms < turning[3]:
                    turning[1].tick(ms)
                else:
                    turning[1].stop()
            except OSError:
                # Its expander is silent, and is asked again at the next tick. The others must not wait for that.
                continue


def may_turn_together(one, other) -> bool:
    """Whether two motors can turn at once: in a matrix, two more would turn with them."""
    return not (one.gates and other.gates)
