"""Products that break a light beam."""

import time


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


class Beam:
    """The drop sensor's pin, by the interrupts of both its edges. `wired` is a wiring.Beam."""

    def __init__(self, wired, pin, edges: int) -> None:
        self._active = wired.active
        self._breaks = Breaks(time.ticks_us, time.ticks_diff, wired.min_us, 1000 * wired.rest_ms)
        self._pin = pin
        pin.irq(self._on_edge, edges)

    def count(self) -> int:
        """How often something has broken it since boot."""
        return self._breaks.count()

    def is_blocked(self) -> bool:
        """Whether it is broken now, for however long: no edge tells of a beam that was dead before the board was."""
        return self._pin.value() == self._active

    def _on_edge(self, pin) -> None:
        self._breaks.change(pin.value() == self._active)
