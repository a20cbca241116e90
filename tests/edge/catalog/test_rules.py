"""Which planogram is in force, whatever the clock says."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edge.catalog.rules import newest_due, version_in_force

START = datetime(2026, 6, 1, tzinfo=UTC)
instants = st.datetimes(datetime(1970, 1, 1), datetime(2040, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001 - made aware at once
planograms = st.dictionaries(st.integers(1, 9), instants).map(lambda known: list(known.items()))


def test_the_highest_whose_time_has_come() -> None:
    versions = [(1, START), (2, START + timedelta(days=1)), (3, START + timedelta(days=2))]
    assert version_in_force(versions, 0, START) == 1
    assert version_in_force(versions, 1, START + timedelta(days=1)) == 2
    assert version_in_force(versions, 1, START + timedelta(days=9)) == 3


def test_a_clock_in_1970_takes_nothing_back_and_leaves_something_to_sell() -> None:
    versions = [(4, START), (5, START)]
    past = datetime(1970, 1, 1, tzinfo=UTC)
    assert version_in_force(versions, 5, past) == 5
    assert version_in_force(versions, 0, past) == 4
    assert version_in_force([], 0, past) == 0
    assert version_in_force([], 3, past) == 3


def test_while_nobody_knows_the_time_nothing_comes_into_force() -> None:
    versions = [(1, START), (2, START)]
    assert newest_due(versions, None) == 0
    assert version_in_force(versions, 0, None) == 1
    assert version_in_force(versions, 1, None) == 1
    assert version_in_force([], 0, None) == 0


@given(planograms, st.lists(st.none() | instants, min_size=1))
def test_once_in_force_no_clock_takes_it_back(
    versions: list[tuple[int, datetime]], clock: list[datetime | None]
) -> None:
    current = 0
    for now in clock:
        version = version_in_force(versions, current, now)
        assert version >= current
        assert version == current or version in dict(versions)
        assert bool(version) == bool(versions)
        current = version


@given(planograms, instants)
def test_with_a_right_clock_none_comes_before_its_time(versions: list[tuple[int, datetime]], now: datetime) -> None:
    due = [version for version, effective_at in versions if effective_at <= now]
    if due:
        assert version_in_force(versions, 0, now) == max(due)
