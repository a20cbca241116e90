# mypy: ignore-errors
"""MicroPython's `onewire` with one DS18B20 at its end: 4 °C, or 9 °C while the cabinet holds its pin high."""


class OneWire:
    def __init__(self, pin) -> None:
        self._pin = pin

    def reset(self) -> bool:
        return True

    def select_rom(self, rom: bytes) -> None:
        """It is the only one."""

    def writebyte(self, value: int) -> None:
        """It has measured at once."""

    def readinto(self, buffer: bytearray) -> None:
        sixteenths = 16 * (9 if self._pin.value() else 4)
        scratch = bytes([sixteenths & 0xFF, sixteenths >> 8, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10])
        buffer[:] = scratch + bytes([self.crc8(scratch)])

    def crc8(self, data: bytes) -> int:
        """Maxim's, polynomial x^8 + x^5 + x^4 + 1; 0 over data that ends with its own."""
        crc = 0
        for byte in data:
            for bit in range(8):
                crc = crc >> 1 ^ (0x8C if (crc ^ byte >> bit) & 1 else 0)
        return crc
