"""The two partitions of MicroPython itself, of which the first runs."""


class Partition:
    RUNNING = 1

    def __init__(self, which: int, label: str = "ota_0") -> None:
        self._label = label

    def info(self) -> tuple[int, int, int, int, str, bool]:
        return (0, 16, 0x20000, 0x180000, self._label, False)

    def get_next_update(self) -> "Partition":
        return Partition(0, "ota_1")
