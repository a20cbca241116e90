"""Lines that go high and low: the ESP32's own pins, and those of the chips that give it more (shift.py, pca9685.py).

A line has `write(level)`, 0 (off) to FULL (on); what lies between is the share of time that it is on, or just on where
there is no PWM. Pins and buses come by constructor: nothing here knows `machine`. No line makes an object after
construction, so that a timer's callback may write; and it may do so while the program is in the midst of a write.

Sixty slots have many lines, so what is kept of one is its *place*: a number, of which each chip has PLACES. The ESP32
itself is chip 0, so the place of a pin is its number; 0, the boot button's, is that of no line.
"""

from . import const

PLACES = const(64)

FULL = 4096
"""A PCA9685's 12 bits; so a servo's pulse is told in steps of 5 µs at 50 Hz."""


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


class OwnPins:
    """The pins of the ESP32 itself, as a chip: number → its line, or what tells the level of an input by `value()`."""

    def __init__(self, lines: dict) -> None:
        self._lines = lines

    def write(self, number: int, level: int) -> None:
        self._lines[number].write(level)

    def value(self, number: int) -> int:
        return self._lines[number].value()

    def make_safe(self) -> None:
        for line in self._lines.values():
            line.write(0)


class ChipLine:
    """An output of a chip."""

    def __init__(self, chip, number: int) -> None:
        self._chip = chip
        self._number = number

    def write(self, level: int) -> None:
        self._chip.write(self._number, level)


def line_at(chips: list, place: int) -> ChipLine:
    """The output of this place."""
    return ChipLine(chips[place // PLACES], place % PLACES)


def ramp(first: int, last: int, ms: int, whole_ms: int) -> int:
    """Between the levels `first` and `last` while `whole_ms` pass, `last` ever after."""
    return last if ms >= whole_ms else first + (last - first) * max(ms, 0) // whole_ms
