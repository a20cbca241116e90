"""What a device's word on a zone adds to what was known of it. Pure."""

from typing import NamedTuple

from shared.climate import Release, ZoneCondition, ZoneReport


class Known(NamedTuple):
    """What the gateway last heard of a zone; of one it has never heard of: not locked, never released."""

    locked: bool = False
    release_id: str | None = None


class News(NamedTuple):
    """What the cloud is to be told: first of the release, then of the lock."""

    released: bool
    release: Release | None
    """None: nobody did it; the device has other settings, or is another."""
    locked: bool


def news(known: Known, report: ZoneReport) -> News:
    """A release may be told long after it was done, even one of a lock that was never heard of; each counts once."""
    is_locked = report.condition is ZoneCondition.LOCKED
    release = report.released
    if release is not None and str(release.release_id) == known.release_id:
        release = None
    is_released = release is not None or (known.locked and not is_locked)
    return News(is_released, release, is_locked and (is_released or not known.locked))
