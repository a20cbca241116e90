"""Time and ids. Deadlines run on the monotonic clock; wall time is only told to people and written beside facts."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import uuid_utils.compat

from shared.contract import ClockQuality


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562)."""
    return uuid_utils.compat.uuid7()


@dataclass(frozen=True, slots=True)
class Moment:
    """A point on the monotonic clock that may be stored; comparable only within the same boot of the machine."""

    boot_id: UUID
    ms: int


class Clock:
    """The gateway's clock. A Pi has no battery for it: until the cloud has told the time, wall time is not believed."""

    def __init__(self) -> None:
        self.boot_id = _machine_boot_id()
        self.quality = ClockQuality.UNSYNCED
        self._told: tuple[datetime, float] | None = None

    def wall(self) -> datetime:
        """What the machine's own clock shows: 1970 without a battery, and it may jump at any moment."""
        return datetime.now(UTC)

    def now(self) -> datetime:
        """Wall time in UTC: what the cloud last said and the time since, or the machine's own until it has spoken."""
        if self._told is None:
            return self.wall()
        told, at = self._told
        return told + timedelta(seconds=self.monotonic() - at)

    def monotonic(self) -> float:
        """Seconds since the machine booted. They never jump."""
        return time.monotonic()

    def moment(self) -> Moment:
        """Now, to be stored."""
        return Moment(self.boot_id, int(self.monotonic() * 1000))

    def age(self, moment: Moment) -> float:
        """Seconds since a stored moment; infinite if the machine was booted since, for then nobody can tell."""
        if moment.boot_id != self.boot_id:
            return float("inf")
        return self.monotonic() - moment.ms / 1000

    def learn(self, server_time: datetime, round_trip_s: float) -> None:
        """Take the cloud's time, read in the middle of a round trip of that length."""
        self._told = server_time + timedelta(seconds=round_trip_s / 2), self.monotonic()
        self.quality = ClockQuality.SYNCED


def _machine_boot_id() -> UUID:
    """Linux tells one; elsewhere each process counts as a boot, which only makes deadlines stricter."""
    try:
        return UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    except OSError:
        return new_id()
