"""The chips that give the board more lines, each before a stand-in that does what its data sheet says."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from firmware.vending.lines import FULL
from firmware.vending.pca9685 import PwmChip
from firmware.vending.shift import ShiftIn, ShiftOut
from firmware.vending.thermometers import MEASURING_MS, ThermometerBus
from tests.firmware.esp32 import onewire


class Wire:
    """A pin, and what hears it change."""

    def __init__(self, level: int, heard_by: Any = None) -> None:
        self.level = level
        self._heard_by = heard_by

    def value(self, level: int | None = None) -> int:
        if level is not None:
            rises = level > self.level
            self.level = level
            if self._heard_by is not None:
                self._heard_by(rises)
        return self.level


class Calling(Wire):
    """In the midst of its n-th rise, somebody calls back."""

    def __init__(self, wire: Wire, moment: int, call: Callable[[], None]) -> None:
        super().__init__(wire.level)
        self._wire, self._left, self._call = wire, moment, call

    def value(self, level: int | None = None) -> int:
        if level:
            self._left -= 1
            if self._left == 0:
                self._call()
        return self._wire.value(level)


class Registers595:
    """74HC595s in a row. At power-on they hold anything; what is at the pins is nothing while `enable` is high."""

    def __init__(self, chips: int) -> None:
        self.shifted = self.latched = [1, 0, 1, 1, 0, 1, 0, 1] * chips
        self.data, self.enable = Wire(0), Wire(1)
        self.clock, self.latch = Wire(0, self._shift), Wire(0, self._take)

    def _shift(self, rises: bool) -> None:
        if rises:
            self.shifted = [self.data.level, *self.shifted[:-1]]

    def _take(self, rises: bool) -> None:
        if rises:
            self.latched = self.shifted

    @property
    def on(self) -> list[int]:
        return [] if self.enable.level else [number for number, level in enumerate(self.latched) if level]


@pytest.mark.parametrize("chips", [1, 2, 8])
def test_a_shift_register_switches_one_output_at_a_time(chips: int) -> None:
    chain = Registers595(chips)
    out = ShiftOut(chain.data, chain.clock, chain.latch, chain.enable, chips)
    assert (chain.enable.level, chain.latched) == (1, [0] * 8 * chips)
    for number in range(8 * chips):
        out.write(number, FULL)
        assert chain.on == [number]
        out.write(number, 0)
        assert chain.on == []


def test_a_shift_register_is_safe_from_any_state() -> None:
    chain = Registers595(2)
    out = ShiftOut(chain.data, chain.clock, chain.latch, chain.enable, 2)
    for number in (0, 7, 15):
        out.write(number, FULL)
    assert chain.on == [0, 7, 15]
    out.make_safe()
    assert (chain.on, chain.enable.level, sum(chain.latched)) == ([], 1, 0)
    out.write(3, FULL)
    assert chain.on == [3], "what was on before does not come back"


def test_a_callback_that_writes_in_mid_write_mixes_nothing_up() -> None:
    for moment in range(1, 17):
        chain = Registers595(2)
        out = ShiftOut(chain.data, chain.clock, chain.latch, chain.enable, 2)
        out._clock = Calling(chain.clock, moment, partial(out.write, 12, FULL))
        out.write(3, FULL)
        assert chain.on == [3, 12]


class Registers165:
    """74HC165s in a row."""

    def __init__(self, levels: list[int]) -> None:
        self.levels = levels
        self.loads = 0
        self._held: list[int] = []
        self.data = Wire(0)
        self.clock, self.load = Wire(0, self._shift), Wire(1, self._load)

    def _load(self, rises: bool) -> None:
        if not rises:
            self.loads += 1
            chips = [self.levels[start : start + 8][::-1] for start in range(0, len(self.levels), 8)]
            self._held = [level for chip in chips for level in chip]
            self.data.level = self._held[0]

    def _shift(self, rises: bool) -> None:
        if rises:
            self._held = [*self._held[1:], 0]
            self.data.level = self._held[0]


def test_inputs_are_read_by_their_number_and_together() -> None:
    now = [0]
    levels = [1] * 24
    chain = Registers165(levels)
    inputs = ShiftIn(chain.data, chain.clock, chain.load, 3, lambda: now[0], lambda end, start: end - start)
    for number in range(24):
        levels[number] = 0
        now[0] += 5
        assert [inputs.value(each) for each in range(24)] == levels
        levels[number] = 1
    assert chain.loads == 25


class Bus:
    """I²C with one PCA9685, as it is when its power stays on while the board restarts."""

    def __init__(self, address: int) -> None:
        self._address = address
        self.registers = bytearray([0x01, *range(255)])

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        if address != self._address:
            raise OSError(19, "ENODEV")
        self.registers[register : register + len(data)] = data
        if register == 0xFD:
            for number in range(16):
                self.registers[9 + 4 * number] = data[0]

    def share(self, number: int) -> int:
        """Of 4096: how long the output is on."""
        _, on_high, low, off_high = self.registers[6 + 4 * number : 10 + 4 * number]
        if off_high & 0x10:
            return 0
        return FULL if on_high & 0x10 else low | off_high << 8


def test_a_pwm_chip_is_silent_at_first_and_then_does_as_told() -> None:
    bus, enable = Bus(0x41), Wire(0)
    chip = PwmChip(bus, 0x41, enable, 50)
    assert enable.level == 1
    assert [bus.share(number) for number in range(16)] == [0] * 16
    assert (bus.registers[0xFE], bus.registers[0] & 0x10) == (121, 0), "50 Hz after the data sheet, and awake"
    for share in (307, 1, 4095, FULL, 0):
        chip.write(15, share)
        assert (bus.share(15), enable.level) == (share, 0)
    chip.write(0, FULL)
    chip.make_safe()
    assert ([bus.share(number) for number in range(16)], enable.level) == ([0] * 16, 1)


def test_a_pwm_chip_that_is_silent_is_off_all_the_same() -> None:
    bus, enable = Bus(0x41), Wire(0)
    chip = PwmChip(bus, 0x41, enable, 50)
    chip.write(0, FULL)
    bus._address = 0
    with pytest.raises(OSError, match="ENODEV"):
        chip.make_safe()
    assert enable.level == 1
    bus._address = 0x41
    assert bus.share(0) == FULL, "it still holds what it was told"
    chip.write(5, 100)
    assert (bus.share(0), bus.share(5), enable.level) == (0, 100, 0)


ROMS = ("28ff000000000001", "28ff000000000002")


def zones(*temperatures: float | None) -> tuple[onewire.OneWire, ThermometerBus, list[int]]:
    onewire.sensors.clear()
    for rom, celsius in zip(ROMS, temperatures, strict=True):
        if celsius is not None:
            onewire.sensors[bytes.fromhex(rom)] = round(celsius * 16)
    now, wire = [0], onewire.OneWire(None)
    bus = ThermometerBus(wire, {"top": ROMS[0], "low": ROMS[1]}, lambda: now[0], lambda end, start: end - start)
    return wire, bus, now


def look(bus: ThermometerBus, now: list[int], times: int = 2) -> dict[str, int | None]:
    for _ in range(times):
        now[0] += MEASURING_MS
        told = bus.look()
    return told


@pytest.mark.parametrize(
    ("celsius", "hundredths"), [(4.0, 400), (-18.5, -1850), (0.0625, 6), (-0.0625, -7), (125, 12500)]
)
def test_temperatures_are_hundredths_of_a_degree(celsius: float, hundredths: int) -> None:
    _, bus, now = zones(celsius, 21)
    assert bus.look() == {"top": None, "low": None}
    assert look(bus, now) == {"top": hundredths, "low": 2100}


def test_what_has_not_measured_yet_is_not_read_and_each_look_reads_one_sensor() -> None:
    wire, bus, now = zones(4, 5)
    assert wire.written == [0xCC, 0x44]
    now[0] += MEASURING_MS - 1
    bus.look()
    assert wire.written == [0xCC, 0x44]
    now[0] += 1
    assert bus.look() == {"top": 400, "low": None}
    assert wire.written == [0xCC, 0x44, 0xBE]
    assert bus.look() == {"top": 400, "low": 500}
    assert wire.written == [0xCC, 0x44, 0xBE, 0xBE, 0xCC, 0x44]


def test_a_sensor_that_is_gone_damaged_or_fresh_from_power_on_tells_nothing() -> None:
    wire, bus, now = zones(4, None)
    assert look(bus, now) == {"top": 400, "low": None}
    wire.broken = True
    assert look(bus, now) == {"top": None, "low": None}
    _, bus, now = zones(85, 4)
    assert look(bus, now) == {"top": None, "low": 400}
    onewire.sensors.clear()
    assert look(bus, now) == {"top": None, "low": None}
