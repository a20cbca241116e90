"""What a device's word on a zone is to be told of, whatever it did while its gateway was away."""

from uuid import UUID

import pytest

from edge.climate.rules import Known, news
from shared.climate import Release, ZoneCondition, ZoneReport

BOOT, OLD, NEW = UUID(int=1), UUID(int=2), UUID(int=3)
COLD, WARM, LOCKED = ZoneCondition.COLD, ZoneCondition.WARM, ZoneCondition.LOCKED


@pytest.mark.parametrize("known_release", [None, OLD])
@pytest.mark.parametrize(
    ("was_locked", "condition", "is_new", "told"),
    [
        (False, COLD, False, ""),
        (False, WARM, False, ""),
        (False, LOCKED, False, "locked"),
        (True, LOCKED, False, ""),
        (True, WARM, False, "released"),
        (True, COLD, True, "released by it"),
        (False, COLD, True, "released by it"),
        (True, LOCKED, True, "released by it, locked"),
        (False, LOCKED, True, "released by it, locked"),
    ],
)
def test_each_lock_and_each_release_is_told_once(
    known_release: UUID | None, was_locked: bool, condition: ZoneCondition, is_new: bool, told: str
) -> None:
    newest = NEW if is_new else known_release
    release = None if newest is None else Release(release_id=newest, at_machine=True)
    report = ZoneReport(
        boot_id=BOOT, zone="top", condition=condition, centi_celsius=900, slots=("A1",), released=release
    )
    found = news(Known(was_locked, None if known_release is None else str(known_release)), report)
    words = [("released by it" if found.release else "released") * found.released, "locked" * found.locked]
    assert ", ".join(word for word in words if word) == told
    assert found.release is None or found.release.release_id == NEW
