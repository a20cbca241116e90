"""A device's clock as tests need it."""

from firmware.vending.clock import Clock


class SetClock(Clock):
    """Stands still until it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.time_ms = 0

    def ms(self) -> int:
        return self.time_ms
