"""What comes as pulses: coins and notes, each a burst that a pause ends."""

import time

from .log import warn

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


class Acceptor:
    """A coin or note acceptor: its pulses by interrupt, and the line by which it refuses money, as it does at first.

    `wired` is a wiring.Acceptor, `edge` the one of its pin that begins a pulse.
    """

    def __init__(self, wired, pin, edge: int, inhibit) -> None:
        self._wired = wired
        self._inhibit = inhibit
        self._pulses = Pulses(time.ticks_us, time.ticks_diff, 1000 * wired.debounce_ms, 1000 * wired.quiet_ms)
        self._pin = pin
        pin.irq(self._on_pulse, edge)

    def _on_pulse(self, pin: object) -> None:
        self._pulses.pulse()

    def accept(self, allowed: bool) -> None:
        active = self._wired.inhibit.active
        self._inhibit.value(1 - active if allowed else active)

    def take(self) -> int:
        """Minor units since the last call."""
        pulses = self._pulses.take()
        if not pulses:
            return 0
        amount_minor = worth(self._wired, pulses)
        if not amount_minor:
            warn("pulses_unknown", pin=self._wired.pin, pulses=pulses)
        return amount_minor
