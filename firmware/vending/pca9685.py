"""The PWM chip PCA9685 (lines.py says what a line is)."""

from .lines import FULL

_MODE1, _MODE2, _FIRST, _ALL_OFF_HIGH, _PRESCALE = 0x00, 0x01, 0x06, 0xFD, 0xFE
_SLEEP, _ONE_AFTER_ANOTHER, _TOTEM_POLE = 0x10, 0x20, 0x04
_WHOLE = 0x10
"""In ON_H: on all the time; in OFF_H: off all the time."""


class PwmChip:
    """A PCA9685, 16 outputs with PWM of one frequency (NXP PCA9685, 7.3)."""

    def __init__(self, i2c, address: int, enable, hz: int) -> None:
        self._i2c = i2c
        self._address = address
        self._enable = enable
        self._output = bytearray(4)
        self.make_safe()
        self._set(_MODE1, _SLEEP)
        self._set(_PRESCALE, (25_000_000 + 2048 * hz) // (4096 * hz) - 1)
        self._set(_MODE2, _TOTEM_POLE)
        # It needs 500 µs to wake; nothing is written to it so soon, and an output that comes late is only late.
        self._set(_MODE1, _ONE_AFTER_ANOTHER)

    def make_safe(self) -> None:
        """Every output off: at once by `enable`, then in the registers. Raises OSError if the chip is silent."""
        self._enable.value(1)
        self._cleared = False
        self._set(_ALL_OFF_HIGH, _WHOLE)
        self._cleared = True

    def write(self, number: int, level: int) -> None:
        """Raises OSError if the chip is silent."""
        if not self._cleared:
            self.make_safe()
        on = _WHOLE if level >= FULL else 0
        off = _WHOLE if level <= 0 else (level >> 8) & 0x0F
        # No branch from here on: MicroPython calls back at branches only, and a callback writes into the same bytes.
        output = self._output
        output[1] = on
        output[2] = level & 0xFF
        output[3] = off
        self._i2c.writeto_mem(self._address, _FIRST + 4 * number, output)
        self._enable.value(0)

    def _set(self, register: int, value: int) -> None:
        self._i2c.writeto_mem(self._address, register, bytes([value]))
