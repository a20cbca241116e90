"""A machine whose wall clock cannot be trusted."""

from datetime import UTC, datetime, timedelta

from tests.fakes.site import SteppedClock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class JumpingClock(SteppedClock):
    """Its wall clock jumps when it is told to; its monotonic clock never does."""

    def __init__(self, shift: timedelta = timedelta()) -> None:
        super().__init__()
        self._shift = shift

    def wall(self) -> datetime:
        """The right time plus all jumps."""
        return super().wall() + self._shift

    def jump(self, by: timedelta) -> None:
        """Let the wall clock jump."""
        self._shift += by


def clock_of_1970() -> JumpingClock:
    """As a Pi without a battery boots."""
    return JumpingClock(EPOCH - datetime.now(UTC))
