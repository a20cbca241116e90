"""Coins are counted whatever the device's wrapping clock shows."""

import pytest

from firmware.vending.beam import Breaks
from firmware.vending.pulses import DEBOUNCE_US, MAX_BURSTS, QUIET_US, Pulses, worth
from firmware.vending.wiring import Acceptor as Wired

pytestmark = pytest.mark.criterion("8.7")

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
    assert all_of(acceptor) == [2, 2, 2]


def all_of(acceptor: Acceptor) -> list[int]:
    return list(iter(acceptor.pulses.take, 0))


def test_a_coin_that_comes_when_the_clock_has_just_wrapped_is_not_the_one_before() -> None:
    acceptor = Acceptor()
    acceptor.coin(2)
    for _ in range(2):
        acceptor.wait(PERIOD // 2 - DEBOUNCE_US)
        acceptor.pulses.look()
    acceptor.coin(3)
    acceptor.wait(QUIET_US)
    assert all_of(acceptor) == [2, 3]


def test_coins_that_come_while_nobody_looks_are_one_by_one() -> None:
    acceptor = Acceptor()
    for pulses in range(1, MAX_BURSTS + 1):
        acceptor.coin(pulses)
        acceptor.wait(QUIET_US)
    assert all_of(acceptor) == list(range(1, MAX_BURSTS + 1))


def test_more_coins_than_can_wait_are_counted_with_the_last() -> None:
    acceptor = Acceptor()
    for looks in range(2):
        for _ in range(MAX_BURSTS + 3):
            acceptor.coin(1)
            acceptor.wait(QUIET_US)
            if looks:
                acceptor.pulses.look()
        assert all_of(acceptor) == [1] * (MAX_BURSTS - 1) + [4]


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


def test_a_burst_is_worth_its_pulses_or_what_the_table_says() -> None:
    coin = Wired(4, 0, 20, 200, 100, None, None)
    note = Wired(5, 0, 20, 200, None, {1: 1000, 2: 5000}, None)
    assert [worth(coin, pulses) for pulses in (1, 3)] == [100, 300]
    assert [worth(note, pulses) for pulses in (1, 2, 3)] == [1000, 5000, 0]


MIN_US, REST_US = 1_000, 50_000


class Beam(Acceptor):
    """A light beam by the same wrapping clock."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks = Breaks(lambda: self._us % PERIOD, self._diff, MIN_US, REST_US)

    def broken_for(self, microseconds: int) -> None:
        self.breaks.change(True)
        self.wait(microseconds)
        self.breaks.change(False)


@pytest.mark.parametrize("minutes", [0, 1, 8, 10, 17, 18, 27])
def test_a_break_counts_if_it_lasts(minutes: int) -> None:
    beam = Beam()
    for _ in range(2):
        beam.breaks.count()
        beam.wait(minutes * MINUTE_US + REST_US)
        before = beam.breaks.count()
        beam.broken_for(MIN_US - 1)
        assert beam.breaks.count() == before
        beam.broken_for(MIN_US)
        assert beam.breaks.count() == before + 1


def test_what_stays_in_the_beam_counts_once_and_at_once() -> None:
    beam = Beam()
    beam.breaks.change(True)
    beam.wait(MIN_US - 1)
    assert beam.breaks.count() == 0
    beam.wait(1)
    assert beam.breaks.count() == 1
    beam.wait(MINUTE_US)
    assert beam.breaks.count() == 1
    beam.breaks.change(False)
    assert beam.breaks.count() == 1


def test_a_product_that_breaks_the_beam_twice_is_one() -> None:
    beam = Beam()
    beam.broken_for(5_000)
    beam.wait(REST_US - 1)
    beam.broken_for(5_000)
    assert beam.breaks.count() == 1
    beam.wait(REST_US)
    beam.broken_for(5_000)
    assert beam.breaks.count() == 2
