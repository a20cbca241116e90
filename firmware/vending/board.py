"""The ESP32 and what is wired to it, put together from the pin map. The only file that imports `machine`.

Needed at boot only: what it makes refers to nothing in here, so that it leaves the heap (boot.py). A driver is imported
if there is something for it to drive. The simulator has a board of its own instead.
"""

import time

import machine
import network

from . import TYPE_CHECKING, const
from .cabinet import Cabinet, Fitted
from .drivers import make_motor
from .hardware import BROWNOUT, DEEP_SLEEP, OTHER, POWER_ON, SOFTWARE, WATCHDOG
from .lines import PLACES, OwnPins, PinLine, PwmLine, line_at
from .motors import Drive
from .pins import INPUT_ONLY
from .settings import forget_wiring
from .wiring import PWM_CHIP, SHIFT_OUT, drop_sensors, pwm_lines

if TYPE_CHECKING:
    from .settings import Settings
    from .wiring import Line, Parts

_WATCHDOG_MS = const(30_000)
_DRIVE_TIMER = const(0)
_PANEL_TIMER = const(1)
_RESET_STATE = const(0x3FF48034)
_BROWNED_OUT = const(15)


def assemble(settings: "Settings") -> Cabinet:
    """The cabinet, safe and with the watchdog on.

    Raises SettingsError if a slot has no motor, OSError if an expander is silent. When it returns, the slots of
    `settings` say nothing of their wiring any more.
    """
    fittings = _Fittings(settings)
    parts = settings.board
    acceptors = [_acceptor(wired) for wired in (parts.coin, parts.note) if wired is not None]
    chips = fittings.outputs
    motors = {code: make_motor(code, slot, chips, fittings.output) for code, slot in settings.slots.items()}
    panel = fittings.panel(parts)
    station = network.WLAN(network.STA_IF)
    station.active(True)
    fitted = Fitted(
        Drive(settings.slots, motors, chips, machine.Timer(_DRIVE_TIMER), time.ticks_ms, time.ticks_diff),
        list(fittings.enables.values()),
        [chips[0]] + [fittings.chips[name] for name in fittings.enables],
        fittings.inputs,
        acceptors,
        {code: fittings.input(slot.home) for code, slot in settings.slots.items() if slot.home is not None},
        {code: fittings.input(slot.empty) for code, slot in settings.slots.items() if slot.empty is not None},
        _switch(parts.door),
        _switch(parts.defrost),
        None if parts.button is None else _input(parts.button),
        {chute: _beam(wired) for chute, wired in drop_sensors(parts).items()},
        None if parts.current is None else _adc(parts.current.pin),
        parts.current,
        None if parts.temperatures is None else _thermometers(parts.temperatures),
        panel,
        station,
        machine.WDT(timeout=_WATCHDOG_MS),
        machine.reset,
        _reset_cause(),
    )
    forget_wiring(settings.slots)
    return Cabinet(settings, fitted)


def restart() -> None:
    """Boot again, at once: for who has no cabinet."""
    machine.reset()


class _Fittings:
    """The outputs and inputs of all chips, by the places of their lines (lines.py).

    Its first act is to have every output off: the expanders' by their enable lines, the chip's own by being low from
    their first moment.
    """

    def __init__(self, settings: "Settings") -> None:
        parts = settings.board
        self._pwm_lines = pwm_lines(settings.slots)
        self._own_outputs: dict = {}
        self._own_inputs: dict = {}
        wired = parts.expanders
        self.enables = {name: _output(wired[name].enable, 1) for name in wired if wired[name].enable is not None}
        bus = None if parts.i2c is None else _bus(parts.i2c)
        self.chips = {name: self._chip(name, wired[name], bus) for name in wired}
        self._names = list(self.chips)
        self.outputs: list = [OwnPins(self._own_outputs)]
        self.inputs: list = [OwnPins(self._own_inputs)]
        for chips in (self.outputs, self.inputs):
            chips.extend([self.chips[name] for name in self._names])

    def output(self, line: "Line") -> int:
        """The place of an output. A pin is low from the first time that somebody asks for it."""
        if not line.on and line.number not in self._own_outputs:
            self._own_outputs[line.number] = self._own_output(line)
        return self._place(line)

    def input(self, line: "Line") -> int:
        """The place of an input."""
        if not line.on:
            self._own_inputs[line.number] = _input(line.number)
        return self._place(line)

    def _place(self, line: "Line") -> int:
        return line.number + (PLACES * (1 + self._names.index(line.on)) if line.on else 0)

    def _own_output(self, line: "Line"):
        pin = _output(line.number, 0)
        if line in self._pwm_lines:
            return PwmLine(machine.PWM(pin, freq=self._pwm_lines[line], duty_u16=0))
        return PinLine(pin)

    def _chip(self, name: str, wired, bus):
        if wired.kind == PWM_CHIP:
            from .pca9685 import PwmChip

            return PwmChip(bus, wired.address, self.enables[name], wired.hz)
        from .shift import ShiftIn, ShiftOut

        if wired.kind == SHIFT_OUT:
            lines = (_output(wired.data, 0), _output(wired.clock, 0), _output(wired.latch, 0))
            return ShiftOut(lines[0], lines[1], lines[2], self.enables[name], wired.chips)
        lines = (_input(wired.data), _output(wired.clock, 0), _output(wired.latch, 1))
        return ShiftIn(lines[0], lines[1], lines[2], wired.chips, time.ticks_ms, time.ticks_diff)

    def panel(self, parts: "Parts"):
        if parts.led is None and parts.buzzer is None:
            return None
        from .panel import Panel

        led, buzzer = [wired and line_at(self.outputs, self.output(wired)) for wired in (parts.led, parts.buzzer)]
        return Panel(led, buzzer, machine.Timer(_PANEL_TIMER))


def _reset_cause() -> str:
    """MicroPython counts a brownout among the watchdogs: that the chip alone tells, in the low bits of
    RTC_CNTL_RESET_STATE_REG (ESP32 Technical Reference Manual, 31 and reset sources)."""
    if machine.mem32[_RESET_STATE] & 0x3F == _BROWNED_OUT:
        return BROWNOUT
    causes = {
        machine.PWRON_RESET: POWER_ON,
        machine.WDT_RESET: WATCHDOG,
        machine.SOFT_RESET: SOFTWARE,
        machine.DEEPSLEEP_RESET: DEEP_SLEEP,
    }
    return causes.get(machine.reset_cause(), OTHER)


def _bus(wired) -> machine.I2C:
    return machine.I2C(0, sda=machine.Pin(wired.sda), scl=machine.Pin(wired.scl), freq=400_000)


def _acceptor(wired):
    from .pulses import Acceptor

    inhibit = _output(wired.inhibit.pin, wired.inhibit.active)
    edge = machine.Pin.IRQ_RISING if wired.active else machine.Pin.IRQ_FALLING
    return Acceptor(wired, _input(wired.pin), edge, inhibit)


def _beam(wired):
    from .beam import Beam

    return Beam(wired, _input(wired.pin), machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)


def _switch(wired) -> "tuple | None":
    return None if wired is None else (_input(wired.pin), wired.active)


def _adc(number: int) -> machine.ADC:
    adc = machine.ADC(machine.Pin(number))
    adc.atten(machine.ADC.ATTN_11DB)
    return adc


def _thermometers(wired):
    import onewire

    from .thermometers import ThermometerBus

    return ThermometerBus(onewire.OneWire(machine.Pin(wired.pin)), wired.zones, time.ticks_ms, time.ticks_diff)


def _output(number: int, level: int) -> machine.Pin:
    """A pin that has this level from its first moment."""
    return machine.Pin(number, machine.Pin.OUT, value=level)


def _input(number: int) -> machine.Pin:
    """Pulled up, where the chip can."""
    if number in INPUT_ONLY:
        return machine.Pin(number, machine.Pin.IN)
    return machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)
