"""MicroPython's `onewire` on a PC, with DS18B20s at its other end that answer at once."""

sensors: dict[bytes, int] = {}
"""ROM code → sixteenths of a degree."""


class OneWire:
    def __init__(self, pin: object) -> None:
        self._chosen: bytes | None = None
        self.broken = False
        self.written: list[int] = []

    def reset(self) -> bool:
        return bool(sensors)

    def select_rom(self, rom: bytes) -> None:
        self._chosen = bytes(rom)

    def writebyte(self, value: int) -> None:
        self.written.append(value)
        if value == 0xCC:
            self._chosen = next(iter(sensors))

    def readinto(self, buffer: bytearray) -> None:
        """A sensor that is not there leaves the line high."""
        assert self._chosen is not None
        sixteenths = sensors.get(self._chosen)
        if sixteenths is None:
            buffer[:] = b"\xff" * 9
            return
        buffer[:8] = (sixteenths & 0xFFFF).to_bytes(2, "little") + b"\x4b\x46\x7f\xff\x0c\x10"
        buffer[8] = self.crc8(buffer[:8]) ^ self.broken

    def crc8(self, data: bytes | bytearray) -> int:
        """Maxim's, polynomial x⁸ + x⁵ + x⁴ + 1; 0 over data that ends with its own."""
        crc = 0
        for byte in data:
            for bit in range(8):
                crc = crc >> 1 ^ (0x8C if (crc ^ byte >> bit) & 1 else 0)
        return crc
