"""Lines that go high and low: the ESP32's own pins, and those of the chips that give it more (shift.py, pca9685.py).

A line has `write(level)`, 0 (off) to FULL (on); what lies between is the share of time that it is on, or just on where
there is no PWM. Pins and buses come by constructor: nothing here knows `machine`. No line makes an object after
construction, so that a timer's callback may write; and it may do so while the program is in the midst of a write.
"""

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


class ChipLine:
    """An output of an expander."""

    def __init__(self, chip, number: int) -> None:
        self._chip = chip
        self._number = number

    def write(self, level: int) -> None:
        self._chip.write(self._number, level)


def ramp(first: int, last: int, ms: int, whole_ms: int) -> int:
    """Between the levels `first` and `last` while `whole_ms` pass, `last` ever after."""
    return last if ms >= whole_ms else first + (last - first) * max(ms, 0) // whole_ms
