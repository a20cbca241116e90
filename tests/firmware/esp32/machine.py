"""MicroPython's `machine` as far as board.py asks for it, on a PC: it tells what becomes of pins and of the board.

A pin that the ESP32-WROOM-32 lacks, or that cannot do what it is asked for, is refused. With the variable DIES_OF, the
first feeding of the watchdog is the moment at which the program dies, of what that names, with every output high. It
stands for a death in mid-turn after which no task is there to lower its pin.
"""

import builtins
import json
import os
from collections.abc import Callable

from firmware.simulator.micropython import add_missing_calls

add_missing_calls()
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
RESET_STATE = 0x3FF48034
mem32 = {RESET_STATE: 1}
"""Of the last boot, as the chip tells it."""
causes = [PWRON_RESET]
"""As MicroPython tells it; the last one counts."""
MISSING = {6, 7, 8, 9, 10, 11, 20, 24, 28, 29, 30, 31, 37, 38}
INPUT_ONLY = {34, 35, 36, 39}
ADC1 = {32, 33, 34, 35, 36, 39}

levels: dict[int, int] = {}
"""Pin → its level."""
outputs: list["Pin"] = []
history: list[tuple[int, int]] = []
"""(pin, level) of every output, from the first moment on."""
duties: dict[int, int] = {}
"""Pin → its share of 65535 under PWM."""
frequencies: dict[int, int] = {}
handlers: dict[int, tuple[Callable[["Pin"], None], int]] = {}
timers: dict[int, "Timer"] = {}
registers: dict[int, bytearray] = {}
"""Address of a chip on the I²C bus → its registers."""
microvolts: dict[int, int] = {}


def power_on() -> None:
    """Forget everything."""
    for known in (levels, outputs, history, duties, frequencies, handlers, timers, registers, microvolts):
        known.clear()
    mem32[RESET_STATE] = 1
    causes[:] = [PWRON_RESET]


class Pin:
    """An input says high: nothing is closed."""

    IN, OUT, PULL_UP = 1, 3, 2
    IRQ_RISING, IRQ_FALLING = 1, 2

    def __init__(self, number: int, mode: int = -1, pull: int = -1, value: int = 1) -> None:
        if number in MISSING or not 0 <= number <= 39:
            raise ValueError(f"invalid pin {number}")
        if number in INPUT_ONLY and (mode == self.OUT or pull == self.PULL_UP):
            raise ValueError(f"pin {number} can only be input")
        self.number = number
        if mode == self.OUT:
            outputs.append(self)
            history.append((number, value))
        levels[number] = value

    def value(self, level: int | None = None) -> int:
        if level is not None:
            levels[self.number] = level
            history.append((self.number, level))
            if "DIES_OF" in os.environ:
                print(json.dumps({"event": "pin", "number": self.number, "level": level}), flush=True)
        return levels[self.number]

    def irq(self, handler: Callable[["Pin"], None], trigger: int) -> None:
        handlers[self.number] = (handler, trigger)


def drive_input(number: int, level: int) -> None:
    """What is wired to the pin gives it this level; its interrupt follows."""
    if levels[number] == level:
        return
    levels[number] = level
    handler, trigger = handlers.get(number, (None, 0))
    if handler is not None and trigger & (Pin.IRQ_RISING if level else Pin.IRQ_FALLING):
        handler(Pin(number, value=level))


class PWM:
    def __init__(self, pin: Pin, freq: int, duty_u16: int) -> None:
        self._number = pin.number
        frequencies[pin.number] = freq
        self.duty_u16(duty_u16)

    def duty_u16(self, duty: int) -> None:
        assert 0 <= duty <= 65535
        duties[self._number] = duty


class Timer:
    """Time passes only when a test calls `callback`."""

    PERIODIC = 1

    def __init__(self, number: int) -> None:
        timers[number] = self
        self.period: int | None = None
        self.callback: Callable[[Timer], None] | None = None

    def init(self, *, period: int, mode: int, callback: Callable[["Timer"], None]) -> None:
        self.period = period
        self.callback = callback

    def deinit(self) -> None:
        self.period = None
        self.callback = None


class I2C:
    """A bus of PCA9685s: what is written to all outputs comes to each."""

    def __init__(self, number: int, sda: Pin, scl: Pin, freq: int) -> None:
        """Of no consequence."""

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        if address not in registers:
            raise OSError(19, "ENODEV")
        registers[address][register : register + len(data)] = data
        if register == 0xFD:
            registers[address][9:73:4] = data * 16


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin: Pin) -> None:
        if pin.number not in ADC1:
            raise ValueError("ADC2 is in use by Wi-Fi")
        self._number = pin.number

    def atten(self, attenuation: int) -> None:
        """Of no consequence."""

    def read_uv(self) -> int:
        return microvolts.get(self._number, 0)


class WDT:
    def __init__(self, timeout: int) -> None:
        """Of no consequence: the program does not live that long."""

    def feed(self) -> None:
        if "DIES_OF" not in os.environ:
            return
        for pin in outputs:
            pin.value(1)
        raise getattr(builtins, os.environ["DIES_OF"])


def reset_cause() -> int:
    return causes[-1]


def reset() -> None:
    print(json.dumps({"event": "reset"}), flush=True)
