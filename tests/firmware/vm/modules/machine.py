# mypy: ignore-errors
"""The ESP32's pins, watchdog and reset, in front of the cabinet that the PC plays."""

import asyncio
import binascii
import errno

import _pc

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
mem32 = {0x3FF48034: 1}
"""RTC_CNTL_RESET_STATE_REG: the power came."""


class Pin:
    """One object a pin, however often it is asked for: on the ESP32 they lie in ROM."""

    IN = 1
    OUT = 3
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    def __new__(cls, number: int, mode: int = -1, pull: int = -1, value: "int | None" = None) -> "Pin":
        return _pins[number]

    def __init__(self, number: int, mode: int = -1, pull: int = -1, value: "int | None" = None) -> None:
        self._number = number
        if value is not None:
            self.value(value)

    def value(self, level: "int | None" = None) -> "int | None":
        if level is None:
            return _pc.pin_read(self._number)
        _pc.pin_write(self._number, 1 if level else 0)
        return None

    def irq(self, handler, trigger: int) -> None:
        """The handler runs between two steps of asyncio: what an interrupt may meet in mid-step is not shown here."""
        _pc.pin_on_edge(self._number, trigger, lambda: handler(self))


_pins = [object.__new__(Pin) for _ in range(40)]
for _number in range(40):
    _pins[_number].__init__(_number)


class Timer:
    """Its callback runs between two steps of asyncio, no more often than `period` says."""

    PERIODIC = 1

    def __init__(self, number: int) -> None:
        self._task = None

    def init(self, *, period: int, mode: int, callback) -> None:
        self.deinit()
        self._task = asyncio.create_task(self._run(period, callback))

    def deinit(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, period_ms: int, callback) -> None:
        while True:
            await asyncio.sleep_ms(period_ms)
            callback(self)


class PWM:
    def __init__(self, pin: Pin, freq: int, duty_u16: int) -> None:
        self._number = pin._number
        self._period_us = 1_000_000 // freq
        self.duty_u16(duty_u16)

    def duty_u16(self, duty: int) -> None:
        share = duty / 65535
        _pc.pin_pulse_width(self._number, share, self._period_us if 0 < share < 1 else 0)


class I2C:
    """The bus of the PC's chips (chips/fitted.mjs)."""

    def __init__(self, number: int, sda: Pin, scl: Pin, freq: int) -> None:
        """Of no consequence: there is one bus, and it has no pins."""

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        if not _pc.i2c_write(address, str(binascii.hexlify(bytes([register]) + data), "ascii")):
            raise OSError(errno.ENODEV)


class ADC:
    """150 mV, whatever turns."""

    ATTN_11DB = 3

    def __init__(self, pin: Pin) -> None:
        """Of no consequence."""

    def atten(self, attenuation: int) -> None:
        """Of no consequence."""

    def read_uv(self) -> int:
        return 150_000


class WDT:
    """Restarts the VM when it is not fed; a VM that spins without returning to its event loop escapes it."""

    def __init__(self, timeout: int) -> None:
        self.feed = _pc.watch(timeout)


def reset() -> None:
    _pc.reset()


def reset_cause() -> int:
    return PWRON_RESET
