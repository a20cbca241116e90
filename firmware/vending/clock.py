# mypy: disable-error-code="attr-defined"
"""Time since boot, and the gateway's wall time once it has told it: nothing that is sold hangs on that."""

import time


class Clock:
    """Milliseconds since boot that never wrap, built from MicroPython's wrapping ticks.

    Must be read at least once in a wrap's half (days on the ESP32); the heartbeat alone does that.
    """

    def __init__(self) -> None:
        self._last = time.ticks_ms()
        self._ms = 0
        self._epoch_s: "int | None" = None

    def ms(self) -> int:
        now = time.ticks_ms()
        self._ms += time.ticks_diff(now, self._last)
        self._last = now
        return self._ms

    def set(self, fields: dict) -> None:
        """The errand: it is `now` seconds since 1970 (UTC). The message may have been on its way for 20 s.

        In one boot it never goes back: what has expired stays so.
        """
        self._epoch_s = max(self._epoch_s or 0, fields["now"] - self.ms() // 1000)

    def now(self) -> "int | None":
        """Seconds since 1970 (UTC); None until the gateway has told it in this boot. It drifts by seconds a day."""
        return None if self._epoch_s is None else self._epoch_s + self.ms() // 1000

    def quality(self) -> str:
        """The word of shared.contract.ClockQuality."""
        return "unsynced" if self._epoch_s is None else "synced"
