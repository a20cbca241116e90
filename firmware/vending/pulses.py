"""What comes as pulses: coins and notes, each a burst that a pause ends, and products that break a light beam."""

DEBOUNCE_US = 20_000
QUIET_US = 200_000


class Pulses:
    """`ticks` tells the time in wrapping microseconds, `diff` the time between two such (time.ticks_us, ticks_diff).

    Each counter has one writer, so that an interrupt between any two steps of the program loses and doubles nothing.
    """

    def __init__(self, ticks, diff, debounce_us: int = DEBOUNCE_US, quiet_us: int = QUIET_US) -> None:
        self._ticks = ticks
        self._diff = diff
        self._debounce_us = debounce_us
        self._quiet_us = quiet_us
        self._counted = 0
        self._taken = 0
        self._last = ticks()

    def pulse(self) -> None:
        """For the interrupt. A pulse soon after another is a contact that bounces."""
        now = self._ticks()
        # Ticks wrap within minutes, so they say nothing of the first pulse of a coin; a negative difference is long.
        if self._counted == self._taken or not 0 <= self._diff(now, self._last) <= self._debounce_us:
            self._counted += 1
        self._last = now

    def take(self) -> int:
        """The pulses since the last call, once a burst is over; 0 until then."""
        # In this order: a pulse that comes meanwhile makes the burst go on, or is left for the next call.
        counted = self._counted
        last = self._last
        if counted == self._taken or 0 <= self._diff(self._ticks(), last) < self._quiet_us:
            return 0
        pulses = counted - self._taken
        self._taken = counted
        return pulses


def worth(acceptor, pulses: int) -> int:
    """What a burst of so many pulses is worth, in minor units; 0 for a number that the table does not know."""
    if acceptor.values is not None:
        return acceptor.values.get(pulses, 0)
    return pulses * acceptor.minor_per_pulse


class Breaks:
    """How often a light beam was broken for `min_us` or longer. Less is a spark or an insect.

    One product may break the beam twice: what begins within `rest_us` of the end of a break is its echo. Each field
    has one writer but `_rests`, where a race makes one product two at worst, which is still a product.
    """

    def __init__(self, ticks, diff, min_us: int, rest_us: int) -> None:
        self._ticks = ticks
        self._diff = diff
        self._min_us = min_us
        self._rest_us = rest_us
        self._ended = 0
        self._broken = False
        self._echo = False
        self._since = 0
        self._last_end = 0
        self._rests = False

    def change(self, broken: bool) -> None:
        """For the interrupt of either edge."""
        now = self._ticks()
        if broken and not self._broken:
            self._since = now
            self._echo = self._rests and 0 <= self._diff(now, self._last_end) < self._rest_us
        elif self._broken and not broken and self._counts(now):
            self._ended += 1
            self._last_end = now
            self._rests = True
        self._broken = broken

    def count(self) -> int:
        """Since boot; a break that lasts counts as soon as it is long enough."""
        # In this order: a break that ends meanwhile is counted by the next call, and by none twice.
        ended = self._ended
        broken = self._broken
        now = self._ticks()
        # Ticks wrap within minutes: the rest of a break is over once somebody has seen it over.
        if self._rests and not 0 <= self._diff(now, self._last_end) < self._rest_us:
            self._rests = False
        return ended + 1 if broken and self._counts(now) else ended

    def _counts(self, now: int) -> bool:
        """A negative difference is a long one."""
        return not self._echo and not 0 <= self._diff(now, self._since) < self._min_us
