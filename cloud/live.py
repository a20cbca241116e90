"""The settings that may change while the cloud runs: one frozen object, in one place, swapped whole."""

from cloud.settings import Live


class LiveSettings:
    """Holds what is in force. Read `now` each time; keep no part of it."""

    def __init__(self, first: Live) -> None:
        self._now = first

    @property
    def now(self) -> Live:
        """What is in force."""
        return self._now

    def swap(self, after: Live) -> None:
        """From here on `after` is in force."""
        self._now = after
