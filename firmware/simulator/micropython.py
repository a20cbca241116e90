"""The few calls of MicroPython that CPython lacks. The firmware uses them without asking where it runs."""

import time


def add_missing_calls() -> None:
    """Give CPython's `time` the ticks of MicroPython (docs.micropython.org, library/time). Safe to repeat."""
    vars(time).update(ticks_ms=_ticks_ms, ticks_us=_ticks_us, ticks_diff=_ticks_diff)


_PERIOD = 2**30


def _ticks_ms() -> int:
    return time.monotonic_ns() // 1_000_000 % _PERIOD


def _ticks_us() -> int:
    return time.monotonic_ns() // 1_000 % _PERIOD


def _ticks_diff(end: int, start: int) -> int:
    return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2
