"""Lines that go high and low: the ESP32's own pins, and those of the chips that give it more.

A line has `write(level)`, 0 (off) to FULL (on); what lies between is the share of time that it is on, or just on where
there is no PWM. Pins and buses come by constructor: nothing here knows `machine`. Nothing here makes an object after
construction, so that a timer's callback may write; and it may do so while the program is in the midst of a write.
"""

FULL = 4096
"""A PCA9685's 12 bits; so a servo's pulse is told in steps of 5 µs at 50 Hz."""

READ_MS = 3
"""A 74HC165 is read anew if what is known of it is older."""

_MODE1, _MODE2, _FIRST, _ALL_OFF_HIGH, _PRESCALE = 0x00, 0x01, 0x06, 0xFD, 0xFE
_SLEEP, _ONE_AFTER_ANOTHER, _TOTEM_POLE = 0x10, 0x20, 0x04
_WHOLE = 0x10
"""In ON_H: on all the time; in OFF_H: off all the time."""


class PinLine:
    """A pin, on or off."""

    def __init__(self, pin) -> None:
        self._pin = pin

    def write(self, level: int) -> None:
        self._pin.value(1 if level else 0)


class PwmLine:
    """A pin under PWM. At 0 it is low throughout."""

    def __init__(self, pwm) -> None:
        self._pwm = pwm

    def write(self, level: int) -> None:
        self._pwm.duty_u16(65535 if level >= FULL else level << 4)


class ChipLine:
    """An output of an expander."""

    def __init__(self, chip, number: int) -> None:
        self._chip = chip
        self._number = number

    def write(self, level: int) -> None:
        self._chip.write(self._number, level)


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
        """The input's level, no older than READ_MS."""
        if not 0 <= self._ticks_diff(self._ticks_ms(), self._read_at) < READ_MS:
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
