"""Shift registers: outputs and inputs in any number for three pins (lines.py says what a line is)."""

from . import const

_READ_MS = const(3)
"""A 74HC165 is read anew if what is known of it is older."""


class ShiftOut:
    """74HC595s in a row; output n is Q(n mod 8) of chip n // 8, chip 0 next to the ESP32 (TI SCLS041).

    What it holds at power-on is anything, so `enable` keeps the outputs off until it is known.
    """

    def __init__(self, data, clock, latch, enable, chips: int) -> None:
        self._data = data
        self._clock = clock
        self._latch = latch
        self._enable = enable
        self._levels = bytearray(chips)
        self.make_safe()

    def make_safe(self) -> None:
        """Every output off: at once by `enable`, then in the registers."""
        self._enable.value(1)
        for chip in range(len(self._levels)):
            self._levels[chip] = 0
        self._send()

    def write(self, number: int, level: int) -> None:
        bit = 1 << (number & 7)
        if level:
            self._levels[number >> 3] |= bit
        else:
            self._levels[number >> 3] &= ~bit
        self._send()
        self._enable.value(0)

    def _send(self) -> None:
        """What is shifted first comes to lie farthest: the last chip's Q7.

        The latch goes low first and takes what was shifted when it rises. A callback that writes meanwhile leaves it
        high, with all levels at the outputs; so what is shifted after that, and mixed up, is never taken.
        """
        self._latch.value(0)
        chip = len(self._levels)
        while chip > 0:
            chip -= 1
            byte = self._levels[chip]
            for _ in range(8):
                self._data.value((byte >> 7) & 1)
                self._clock.value(1)
                self._clock.value(0)
                byte <<= 1
        self._latch.value(1)


class ShiftIn:
    """74HC165s in a row; input n is D(n mod 8) of chip n // 8, chip 0 next to the ESP32 (TI SCLS116)."""

    def __init__(self, data, clock, load, chips: int, ticks_ms, ticks_diff) -> None:
        self._data = data
        self._clock = clock
        self._load = load
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._levels = bytearray(chips)
        self._read()

    def value(self, number: int) -> int:
        """The input's level, no older than _READ_MS."""
        if not 0 <= self._ticks_diff(self._ticks_ms(), self._read_at) < _READ_MS:
            self._read()
        return (self._levels[number >> 3] >> (number & 7)) & 1

    def _read(self) -> None:
        self._load.value(0)
        self._load.value(1)
        for chip in range(len(self._levels)):
            byte = 0
            for _ in range(8):
                byte = (byte << 1) | self._data.value()
                self._clock.value(1)
                self._clock.value(0)
            self._levels[chip] = byte
        self._read_at = self._ticks_ms()
