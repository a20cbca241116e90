"""What a run of facts makes of zones: a release that is known releases nothing once more."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from cloud.climate.rules import ToldRelease, zone_steps
from shared.climate import ZoneReleased
from shared.contract import ClockQuality
from shared.sync import Fact

DEVICE, MACHINE, FIRST, SECOND = (UUID(int=number) for number in range(4))
THEN = datetime(2026, 1, 1, tzinfo=UTC)
KNOWN = {(DEVICE, "top"): ToldRelease(FIRST, THEN)}


def release(release_id: UUID | None, after_s: int, zone: str = "top") -> Fact:
    """A release is told so long after the one that is known was."""
    body = ZoneReleased(device_id=DEVICE, machine_id=MACHINE, zone=zone, released_by="Asha", release_id=release_id)
    at = THEN + timedelta(seconds=after_s)
    return Fact(seq=1, at=at, mono_ms=0, boot_id=DEVICE, clock=ClockQuality.SYNCED, body=body)


@pytest.mark.parametrize(
    ("told", "newest"),
    [
        (release(FIRST, 60), None),
        (release(FIRST, -60), None),
        (release(FIRST, 0), ToldRelease(FIRST, THEN)),
        (release(SECOND, 60), ToldRelease(SECOND, THEN + timedelta(seconds=60))),
        (release(None, 60), ToldRelease(FIRST, THEN)),
    ],
    ids=["told once more", "by a clock that is behind", "the same fact taken up anew", "another", "nobody did it"],
)
def test_a_known_release_that_is_told_by_another_fact_says_nothing(told: Fact, newest: ToldRelease | None) -> None:
    assert [step.release for step in zone_steps([told], KNOWN).values()] == ([] if newest is None else [newest])


def test_a_release_of_one_zone_is_none_of_another() -> None:
    assert list(zone_steps([release(FIRST, 60, "bottom")], KNOWN)) == [(DEVICE, "bottom")]
