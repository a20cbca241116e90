"""The ESP32's two partitions for MicroPython itself: one runs, the other takes a new image.

Only a board whose partition table has two of them, and a boot loader that goes back, can do that: firmware/README.md.
"""

import esp32

BLOCK_BYTES = 4096


class Partitions:
    """Raises OSError if there is no second one."""

    def __init__(self) -> None:
        runs = _partition(esp32.Partition.RUNNING)
        self.running = runs.info()[4]
        self._idle = runs.get_next_update()
        self.idle = self._idle.info()[4]
        self.size = self._idle.info()[3]

    def write(self, block: int, data: bytearray) -> None:
        """Erase a block and fill it."""
        self._idle.writeblocks(block, data)

    def read(self, block: int, into: bytearray) -> None:
        self._idle.readblocks(block, into)

    def boot_idle(self) -> None:
        """From the next boot on; a boot that nobody says `keep` in is the only one. Raises OSError for no image."""
        self._idle.set_boot()


def _partition(which):
    return esp32.Partition(which)


def keep() -> None:
    """What runs has proven itself: the boot loader shall not go back."""
    esp32.Partition.mark_app_valid_cancel_rollback()
