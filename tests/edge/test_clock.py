"""Time that never jumps, and wall time that is believed only when somebody said so."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from edge.clock import Clock, Moment, new_id
from shared.contract import ClockQuality
from tests.fakes.jumping_clock import EPOCH, JumpingClock, clock_of_1970

TOLD = datetime(2026, 6, 1, 12, tzinfo=UTC)
CLOSE = timedelta(seconds=1)


def test_until_the_cloud_has_spoken_wall_time_is_not_believed() -> None:
    clock = clock_of_1970()
    assert clock_of_1970().quality is ClockQuality.UNSYNCED
    assert abs(clock.now() - EPOCH) < CLOSE
    clock.learn(TOLD, round_trip_s=4)
    assert clock.quality is ClockQuality.SYNCED
    assert abs(clock.now() - (TOLD + timedelta(seconds=2))) < CLOSE


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=-1), timedelta(days=3650), timedelta(days=-3650)])
def test_what_the_cloud_said_outlives_every_jump_of_the_machines_clock(jump: timedelta) -> None:
    clock = JumpingClock()
    clock.learn(TOLD, round_trip_s=0)
    clock.jump(jump)
    clock.step(100)
    assert abs(clock.now() - (TOLD + timedelta(seconds=100))) < CLOSE


def test_moments_are_comparable_within_a_boot_only() -> None:
    clock = JumpingClock()
    moment = clock.moment()
    clock.step(5)
    clock.jump(timedelta(days=3650))
    assert 5 <= clock.age(moment) < 6
    assert clock.age(Moment(uuid4(), moment.ms)) == float("inf")


def test_processes_of_one_boot_share_its_id() -> None:
    assert Clock().boot_id == Clock().boot_id
    assert Clock().now().tzinfo is UTC


def test_ids_are_version_7_and_rise() -> None:
    ids = [new_id() for _ in range(1000)]
    assert {made.version for made in ids} == {7}
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
