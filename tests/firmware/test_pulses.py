"""Coins are counted whatever the device's wrapping clock shows."""

import pytest

from firmware.vending.pulses import DEBOUNCE_US, QUIET_US, Pulses

PERIOD = 2**30
"""Of MicroPython's ticks_us: 18 minutes."""
MINUTE_US = 60_000_000
PULSE_US = 100_000


class Acceptor:
    """Pulses by a clock that wraps as the ESP32's does."""

    def __init__(self) -> None:
        self._us = PERIOD - 1000
        self.pulses = Pulses(lambda: self._us % PERIOD, self._diff)

    @staticmethod
    def _diff(end: int, start: int) -> int:
        return (end - start + PERIOD // 2) % PERIOD - PERIOD // 2

    def wait(self, microseconds: int) -> None:
        self._us += microseconds

    def coin(self, pulses: int) -> None:
        """Each pulse bounces twice."""
        for _ in range(pulses):
            for _ in range(3):
                self.pulses.pulse()
                self.wait(DEBOUNCE_US // 4)
            self.wait(PULSE_US)


@pytest.mark.parametrize("minutes", range(0, 40, 3))
@pytest.mark.parametrize("worth", [1, 5])
def test_a_coin_after_any_pause_counts_in_full(minutes: int, worth: int) -> None:
    acceptor = Acceptor()
    for _ in range(2):
        acceptor.wait(minutes * MINUTE_US)
        acceptor.coin(worth)
        acceptor.wait(QUIET_US)
        assert (acceptor.pulses.take(), acceptor.pulses.take()) == (worth, 0)


@pytest.mark.parametrize("minutes", range(1, 40, 3))
def test_coins_that_nobody_takes_for_long_stay_counted(minutes: int) -> None:
    acceptor = Acceptor()
    for _ in range(3):
        acceptor.coin(2)
        acceptor.wait(minutes * MINUTE_US)
    assert acceptor.pulses.take() == 6


def test_a_coin_is_not_taken_in_halves() -> None:
    acceptor = Acceptor()
    acceptor.coin(2)
    assert acceptor.pulses.take() == 0
    acceptor.coin(3)
    acceptor.wait(QUIET_US)
    assert acceptor.pulses.take() == 5


def test_a_pulse_between_two_steps_of_taking_is_not_lost() -> None:
    acceptor = Acceptor()
    acceptor.coin(1)
    acceptor.wait(QUIET_US)
    real_diff = acceptor.pulses._diff

    def interrupted(end: int, start: int) -> int:
        acceptor.pulses._diff = real_diff
        acceptor.pulses.pulse()
        return acceptor._diff(end, start)

    acceptor.pulses._diff = interrupted
    first = acceptor.pulses.take()
    acceptor.wait(QUIET_US)
    assert (first, acceptor.pulses.take()) == (1, 1)
