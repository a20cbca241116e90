"""The ESP32 and what is wired to it. The only file that imports `machine`; the simulator has one of its own instead."""

import gc
import socket
import ssl
import time

import machine
import network

from . import radio
from .expanders import ChipLine, PinLine, PwmChip, PwmLine, ShiftIn, ShiftOut
from .hardware import Hardware
from .log import log
from .motors import Drive, pwm_lines
from .pins import INPUT_ONLY
from .pulses import Breaks, Pulses, worth
from .settings import Settings
from .wiring import PWM_CHIP, SHIFT_OUT

WATCHDOG_MS = 30_000
DRIVE_TIMER, PANEL_TIMER = 0, 1
ADC_LOOKS = 8
"""A motor's current is chopped: one look says little."""


class Board(Hardware):
    """Motors, switches, sensors, acceptors and radio, by the pin map of `settings`. Switches pull their line low.

    Its first act is to have every output off: the expanders' by their enable lines, the chip's own by being low from
    their first moment; money is refused. Raises SettingsError if a slot has no motor.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pwm_lines = pwm_lines(settings.slots)
        self._lines: dict = {}
        self._enables = _enables(settings.board)
        self._chips = _chips(settings.board, self._enables)
        self._acceptors = [
            Acceptor(acceptor) for acceptor in (settings.board.coin, settings.board.note) if acceptor is not None
        ]
        timer = machine.Timer(DRIVE_TIMER)
        self._drive = Drive(settings.slots, self._line, timer, time.ticks_ms, time.ticks_diff)
        self._make_sensors(settings)
        self._panel = self._make_panel(settings.board)
        self._radio = network.WLAN(network.STA_IF)
        self._radio.active(True)
        self._watchdog = machine.WDT(timeout=WATCHDOG_MS)

    def _make_sensors(self, settings: Settings) -> None:
        parts = settings.board
        self._homes = {code: self._switch(slot.home) for code, slot in settings.slots.items()}
        self._empties = {code: self._switch(slot.empty) for code, slot in settings.slots.items()}
        self._door = None if parts.door is None else _input(parts.door.pin)
        self._breaks = None if parts.drop is None else Beam(parts.drop).breaks
        self._current = None if parts.current is None else machine.ADC(machine.Pin(parts.current.pin))
        if self._current is not None:
            self._current.atten(machine.ADC.ATTN_11DB)
        self._thermometers = None
        if parts.temperatures is not None:
            import onewire

            from .thermometers import ThermometerBus

            wire = onewire.OneWire(machine.Pin(parts.temperatures.pin))
            zones = parts.temperatures.zones
            self._thermometers = ThermometerBus(wire, zones, time.ticks_ms, time.ticks_diff)

    def _make_panel(self, parts):
        """None without LED and buzzer: what is not fitted is not imported, for it would be in RAM."""
        if parts.led is None and parts.buzzer is None:
            return None
        from .panel import STEP_MS, Panel

        led = None if parts.led is None else self._line(parts.led)
        buzzer = None if parts.buzzer is None else self._line(parts.buzzer)
        self._panel_timer = machine.Timer(PANEL_TIMER)
        self._panel_timer.init(period=STEP_MS, mode=machine.Timer.PERIODIC, callback=self._on_panel)
        return Panel(led, buzzer)

    def _line(self, line):
        """What can be written of an output; the same for all who share it."""
        if line not in self._lines:
            self._lines[line] = self._make_line(line)
        return self._lines[line]

    def _make_line(self, line):
        if line.on:
            return ChipLine(self._chips[line.on], line.number)
        pin = _output(line.number, 0)
        if line in self._pwm_lines:
            return PwmLine(machine.PWM(pin, freq=self._pwm_lines[line], duty_u16=0))
        return PinLine(pin)

    def _switch(self, line):
        """What tells an input's level."""
        if line is None:
            return None
        if line.on:
            chip = self._chips[line.on]
            return lambda: chip.value(line.number)
        return _input(line.number).value

    def _on_panel(self, timer: object) -> None:
        if self._panel is not None:
            self._panel.step()

    def motor_on(self, slot: str, label: str) -> None:
        """`label` says for which vend; only the simulator's world writes it down."""
        self._drive.start(slot)

    def motor_off(self, slot: str) -> None:
        self._drive.stop(slot)

    def make_safe(self) -> None:
        """Every output off, those first that no bus is needed for. Raises OSError if an expander is silent."""
        self._drive.forget()
        for enable in self._enables.values():
            enable.value(1)
        for acceptor in self._acceptors:
            acceptor.accept(False)
        for line, output in self._lines.items():
            if not line.on:
                output.write(0)
        for name in self._enables:
            self._chips[name].make_safe()

    def restart(self) -> None:
        """Boot again, at once."""
        machine.reset()

    def home(self, slot: str) -> "bool | None":
        """Whether the home switch is closed; None without one."""
        return _is_low(self._homes[slot])

    def drops(self) -> "int | None":
        """How often the drop sensor has seen something since boot; None without one."""
        return None if self._breaks is None else self._breaks.count()

    def is_empty(self, slot: str) -> "bool | None":
        """What the slot's own sensor says; None without one."""
        return _is_low(self._empties[slot])

    def current_ma(self, slot: str) -> "int | None":
        """What all motors draw together: there is one sensor for all."""
        if self._current is None:
            return None
        wired = self._settings.board.current
        uv = 0
        for _ in range(ADC_LOOKS):
            uv += self._current.read_uv()
        return max(0, uv // ADC_LOOKS - 1000 * wired.zero_mv) // wired.mv_per_ampere

    def door_is_open(self) -> "bool | None":
        return None if self._door is None else self._door.value() == self._settings.board.door.active

    def temperatures(self) -> dict:
        return {} if self._thermometers is None else self._thermometers.look()

    def accept_money(self, allowed: bool) -> None:
        for acceptor in self._acceptors:
            acceptor.accept(allowed)

    def take_money(self) -> int:
        """Minor units inserted since the last call, once the burst of pulses is over."""
        amount_minor = 0
        for acceptor in self._acceptors:
            amount_minor += acceptor.take()
        return amount_minor

    def signal(self, kind: str) -> None:
        if self._panel is not None:
            self._panel.show(kind)

    def feed_watchdog(self) -> None:
        self._watchdog.feed()

    def health(self) -> dict:
        rssi = self._radio.status("rssi") if self._radio.isconnected() else None
        return {"free_bytes": gc.mem_free(), "rssi_dbm": rssi}

    def address(self) -> "str | None":
        """This device's IPv4 address."""
        return self._radio.ifconfig()[0] if self._radio.isconnected() else None

    async def join_network(self) -> None:
        """Be on the Wi-Fi of the settings, if any. Raises OSError."""
        await radio.join(self._radio, self._settings.wifi)

    async def open_stream(self, host: str, port: int, context: ssl.SSLContext, server_name: str) -> tuple:
        return await radio.open_stream(host, port, context, server_name)

    def open_udp(self, port: int) -> socket.socket:
        return radio.open_udp(self._radio, port)


class Acceptor:
    """A coin or note acceptor: its pulses by interrupt, and the line by which it refuses money, as it does at first."""

    def __init__(self, wired) -> None:
        self._wired = wired
        inhibit = wired.inhibit
        self._inhibit = None if inhibit is None else _output(inhibit.pin, inhibit.active)
        self._pulses = Pulses(time.ticks_us, time.ticks_diff, 1000 * wired.debounce_ms, 1000 * wired.quiet_ms)
        self._pin = _input(wired.pin)
        self._pin.irq(self._on_pulse, machine.Pin.IRQ_RISING if wired.active else machine.Pin.IRQ_FALLING)

    def _on_pulse(self, pin: object) -> None:
        self._pulses.pulse()

    def accept(self, allowed: bool) -> None:
        if self._inhibit is not None:
            active = self._wired.inhibit.active
            self._inhibit.value(1 - active if allowed else active)

    def take(self) -> int:
        """Minor units since the last call."""
        pulses = self._pulses.take()
        if not pulses:
            return 0
        amount_minor = worth(self._wired, pulses)
        if not amount_minor:
            log("pulses_unknown", pin=self._wired.pin, pulses=pulses)
        return amount_minor


class Beam:
    """The drop sensor's pin, by the interrupts of both edges."""

    def __init__(self, wired) -> None:
        self._active = wired.active
        self.breaks = Breaks(time.ticks_us, time.ticks_diff, wired.min_us, 1000 * wired.rest_ms)
        self._pin = _input(wired.pin)
        self._pin.irq(self._on_edge, machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)

    def _on_edge(self, pin) -> None:
        self.breaks.change(pin.value() == self._active)


def _enables(parts) -> dict:
    """Expander's name → its enable line, high: its outputs are off."""
    chips = parts.expanders
    return {name: _output(chips[name].enable, 1) for name in chips if chips[name].enable is not None}


def _chips(parts, enables: dict) -> dict:
    """Expander's name → the chips. Raises OSError if one on the bus is silent."""
    chips: dict = {}
    i2c = None
    if parts.i2c is not None:
        i2c = machine.I2C(0, sda=machine.Pin(parts.i2c.sda), scl=machine.Pin(parts.i2c.scl), freq=400_000)
    for name, wired in parts.expanders.items():
        if wired.kind == PWM_CHIP:
            chips[name] = PwmChip(i2c, wired.address, enables[name], wired.hz)
        elif wired.kind == SHIFT_OUT:
            lines = (_output(wired.data, 0), _output(wired.clock, 0), _output(wired.latch, 0))
            chips[name] = ShiftOut(lines[0], lines[1], lines[2], enables[name], wired.chips)
        else:
            lines = (_input(wired.data), _output(wired.clock, 0), _output(wired.latch, 1))
            chips[name] = ShiftIn(lines[0], lines[1], lines[2], wired.chips, time.ticks_ms, time.ticks_diff)
    return chips


def _output(number: int, level: int):
    """A pin that has this level from its first moment."""
    return machine.Pin(number, machine.Pin.OUT, value=level)


def _input(number: int):
    """Pulled up, where the chip can."""
    if number in INPUT_ONLY:
        return machine.Pin(number, machine.Pin.IN)
    return machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)


def _is_low(level) -> "bool | None":
    return None if level is None else level() == 0
