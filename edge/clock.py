"""Time and ids. Deadlines run on the monotonic clock; wall time is only told to people and written beside facts."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils.compat

from shared.contract import ClockQuality


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562)."""
    return uuid_utils.compat.uuid7()


class Clock:
    """The gateway's clock. A Pi has no battery for it: until the cloud has told the time, wall time is not believed."""

    def __init__(self) -> None:
        self.boot_id = new_id()
        self.quality = ClockQuality.UNSYNCED
        self._offset = timedelta()

    def now(self) -> datetime:
        """Wall time in UTC, corrected by what the cloud last said."""
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        """Seconds that never jump. Comparable within this process only."""
        return time.monotonic()

    def learn(self, server_time: datetime, round_trip_s: float) -> None:
        """Take the cloud's time, read in the middle of a round trip of that length."""
        self._offset = server_time + timedelta(seconds=round_trip_s / 2) - datetime.now(UTC)
        self.quality = ClockQuality.SYNCED
