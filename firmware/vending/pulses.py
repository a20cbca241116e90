"""A coin acceptor's pulses, counted. A coin is a burst of them; a pause ends it."""

DEBOUNCE_US = 20_000
QUIET_US = 200_000


class Pulses:
    """`ticks` tells the time in wrapping microseconds, `diff` the time between two such (time.ticks_us, ticks_diff).

    Each counter has one writer, so that an interrupt between any two steps of the program loses and doubles nothing.
    """

    def __init__(self, ticks, diff) -> None:
        self._ticks = ticks
        self._diff = diff
        self._counted = 0
        self._taken = 0
        self._last = ticks()

    def pulse(self) -> None:
        """For the interrupt. A pulse soon after another is a contact that bounces."""
        now = self._ticks()
        # Ticks wrap within minutes, so they say nothing of the first pulse of a coin; a negative difference is long.
        if self._counted == self._taken or not 0 <= self._diff(now, self._last) <= DEBOUNCE_US:
            self._counted += 1
        self._last = now

    def take(self) -> int:
        """The pulses since the last call, once a burst is over; 0 until then."""
        # In this order: a pulse that comes meanwhile makes the burst go on, or is left for the next call.
        counted = self._counted
        last = self._last
        if counted == self._taken or 0 <= self._diff(self._ticks(), last) < QUIET_US:
            return 0
        pulses = counted - self._taken
        self._taken = counted
        return pulses
