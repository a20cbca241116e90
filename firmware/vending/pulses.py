"""What comes as pulses: coins and notes, each a burst that a pause ends."""

import time

from .log import warn

DEBOUNCE_US = 20_000
QUIET_US = 200_000
MAX_BURSTS = 16
"""That wait to be taken. What comes beyond them is counted with the last: an acceptor that is shut takes no more."""


class Pulses:
    """Bursts of pulses, the oldest first; each is over after a pause of `quiet_us`, whether somebody looks or not.

    `ticks` tells the time in wrapping microseconds, `diff` the time between two such (time.ticks_us, ticks_diff). Each
    field has one writer, so that an interrupt between any two steps of the program loses and doubles nothing: `pulse`
    counts and begins bursts, `look` and `take` say which are over and which are taken.
    """

    def __init__(self, ticks, diff, debounce_us: int = DEBOUNCE_US, quiet_us: int = QUIET_US) -> None:
        self._ticks = ticks
        self._diff = diff
        self._debounce_us = debounce_us
        self._quiet_us = quiet_us
        self._ring = [0] * MAX_BURSTS
        self._burst = -1
        self._over = 0
        self._taken = 0
        self._last = ticks()

    def pulse(self) -> None:
        """For the interrupt. A pulse soon after another is a contact that bounces."""
        now = self._ticks()
        gap = self._diff(now, self._last)
        self._last = now
        # Ticks wrap within minutes, so they say nothing of a burst's first pulse; a negative difference is long.
        is_first = self._burst < self._over or not 0 <= gap < self._quiet_us
        if is_first and self._burst + 1 - self._taken < MAX_BURSTS:
            self._ring[(self._burst + 1) % MAX_BURSTS] = 1
            self._burst += 1
        elif not 0 <= gap <= self._debounce_us:
            self._ring[self._burst % MAX_BURSTS] += 1

    def look(self) -> None:
        """End the burst that a pause has ended. To be called now and then, lest a later pulse seem to belong to it."""
        # In this order: a pulse that comes meanwhile makes the burst go on, or has begun another.
        burst = self._burst
        last = self._last
        if not 0 <= self._diff(self._ticks(), last) < self._quiet_us:
            self._over = burst + 1

    def take(self) -> int:
        """The pulses of the oldest burst that is over and not yet taken; 0 if there is none."""
        self.look()
        if self._taken == max(self._over, self._burst):
            return 0
        pulses = self._ring[self._taken % MAX_BURSTS]
        self._taken += 1
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
        """Said again and again, whether or not somebody takes what was inserted."""
        self._pulses.look()
        active = self._wired.inhibit.active
        self._inhibit.value(1 - active if allowed else active)

    def take(self) -> int:
        """Minor units of the next coin or note; 0 if there is none. What has no value is left out."""
        pulses = self._pulses.take()
        while pulses:
            amount_minor = worth(self._wired, pulses)
            if amount_minor:
                return amount_minor
            warn("pulses_unknown", pin=self._wired.pin, pulses=pulses)
            pulses = self._pulses.take()
        return 0
