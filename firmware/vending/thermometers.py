"""DS18B20 temperature sensors on one wire, measured and read without waiting (Maxim DS18B20, 19-7487)."""

from . import const

MEASURING_MS = 800
"""A conversion of 12 bits takes 750 ms at most."""
POWER_ON = 8500
"""What a sensor says that has lost its power since it was asked to measure. No cabinet is that warm."""

_SKIP_ROM = const(0xCC)
_CONVERT = const(0x44)
_READ = const(0xBE)


class ThermometerBus:
    """`wire` is a onewire.OneWire; `zones` name → ROM code in hex, or None for a sensor that is alone."""

    def __init__(self, wire, zones: dict, ticks_ms, ticks_diff) -> None:
        self._wire = wire
        self._roms = [(zone, _rom(zones[zone])) for zone in zones]
        self._ticks_ms = ticks_ms
        self._ticks_diff = ticks_diff
        self._scratch = bytearray(9)
        self._known: dict = dict.fromkeys(zones)
        self._next = 0
        self._measure()

    def look(self) -> dict:
        """Zone → hundredths of a degree as measured last. Reads one sensor at most (12 ms), if it has measured."""
        if not 0 <= self._ticks_diff(self._ticks_ms(), self._began) < MEASURING_MS:
            zone, rom = self._roms[self._next]
            self._known[zone] = self._read(rom)
            self._next += 1
            if self._next == len(self._roms):
                self._measure()
        return dict(self._known)

    def _measure(self) -> None:
        """All sensors at once."""
        self._next = 0
        self._began = self._ticks_ms()
        if self._wire.reset():
            self._wire.writebyte(_SKIP_ROM)
            self._wire.writebyte(_CONVERT)

    def _read(self, rom: "bytes | None") -> "int | None":
        """None if the sensor does not answer, or not in good order."""
        if not self._wire.reset():
            return None
        if rom is None:
            self._wire.writebyte(_SKIP_ROM)
        else:
            self._wire.select_rom(rom)
        self._wire.writebyte(_READ)
        self._wire.readinto(self._scratch)
        # A line that is shorted reads as zeros, whose checksum is right; the configuration is never zero.
        if self._wire.crc8(self._scratch) or not self._scratch[4]:
            return None
        sixteenths = self._scratch[0] | self._scratch[1] << 8
        if sixteenths & 0x8000:
            sixteenths -= 0x10000
        hundredths = sixteenths * 25 // 4
        return None if hundredths == POWER_ON else hundredths


def _rom(code: "str | None") -> "bytes | None":
    return None if code is None else bytes([int(code[place : place + 2], 16) for place in range(0, 16, 2)])
