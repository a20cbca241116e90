"""The firmware under test finds what MicroPython has and CPython lacks, and a log in which nothing is kept yet."""

from collections.abc import Iterator

import pytest

from firmware.simulator.micropython import add_missing_calls
from firmware.vending.log import kept

add_missing_calls()


@pytest.fixture(autouse=True)
def _empty_log() -> Iterator[None]:
    """A device keeps the lines of its whole boot; here many boots share one process, and each begins with no clock."""
    no_clock = kept.ms
    kept.take("")
    yield
    kept.ms = no_clock
    kept.take("")
