# mypy: ignore-errors
"""MicroPython's `onewire`, which speaks bit by bit to the sensors that the PC plays (chips/ds18b20.mjs).

How long a bit takes, and that it is one by its time, is left to the chip's own C code and not shown here.
"""

import _pc

_MATCH_ROM = 0x55


class OneWire:
    def __init__(self, pin) -> None:
        self._number = pin._number

    def reset(self) -> bool:
        return _pc.wire_reset(self._number)

    def select_rom(self, rom: bytes) -> None:
        self.reset()
        self.writebyte(_MATCH_ROM)
        for byte in rom:
            self.writebyte(byte)

    def writebyte(self, value: int) -> None:
        for place in range(8):
            _pc.wire_write(self._number, value >> place & 1)

    def readinto(self, buffer: bytearray) -> None:
        for at in range(len(buffer)):
            byte = 0
            for place in range(8):
                byte |= _pc.wire_read(self._number) << place
            buffer[at] = byte

    def crc8(self, data: bytes) -> int:
        """Maxim's, polynomial x^8 + x^5 + x^4 + 1; 0 over data that ends with its own."""
        crc = 0
        for byte in data:
            for bit in range(8):
                crc = crc >> 1 ^ (0x8C if (crc ^ byte >> bit) & 1 else 0)
        return crc
