# mypy: disable-error-code="attr-defined"
"""Time since boot. The device has no wall clock it could trust, and needs none."""

import time


class Clock:
    """Milliseconds since boot that never wrap, built from MicroPython's wrapping ticks.

    Must be read at least once in a wrap's half (days on the ESP32); the heartbeat alone does that.
    """

    def __init__(self) -> None:
        self._last = time.ticks_ms()
        self._ms = 0

    def ms(self) -> int:
        now = time.ticks_ms()
        self._ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._ms
