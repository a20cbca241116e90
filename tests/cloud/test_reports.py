"""Reports: read on a replica only while it is known to keep up, never written, and always dated."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from structlog.testing import capture_logs

from cloud.callers import Actor, ActorKind, Operator
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction
from cloud.failpoints import Failpoints
from cloud.reports import AS_OF, Note, Reports, Trail, last_end
from tests.cloud.conftest import World

START = datetime(2026, 1, 1, tzinfo=UTC)


def note(second: int, place: int) -> Note:
    return Note(START + timedelta(seconds=second), float(second), place)


def test_a_replica_is_as_old_as_the_newest_note_that_it_has_reached() -> None:
    trail = Trail(10)
    assert trail.as_of(0) is None
    for second, place in enumerate((100, 200, 200, 300)):
        trail.note(note(second, place))
    trail.follow(99)
    assert trail.as_of(3) is None
    trail.follow(250)
    assert trail.as_of(3) == START + timedelta(seconds=2)
    trail.follow(200)
    assert trail.as_of(3) == START + timedelta(seconds=2), "it never goes back"
    assert trail.as_of(12) is not None
    assert trail.as_of(12.1) is None, "too far behind"
    trail.forget()
    assert trail.as_of(3) is None


def test_while_nothing_is_written_no_replica_falls_behind() -> None:
    trail = Trail(10)
    for second in range(1000):
        trail.note(note(second, 100))
        trail.follow(100)
        assert trail.as_of(second) == START + timedelta(seconds=second)


def test_one_that_stands_still_comes_back_when_it_goes_on() -> None:
    trail = Trail(10)
    for second in range(100):
        trail.note(note(second, second))
        trail.follow(5)
    assert trail.as_of(99) is None
    trail.follow(95)
    assert trail.as_of(99) == START + timedelta(seconds=95)


def test_the_head_of_a_page_is_nothing_to_wait_for() -> None:
    page, segment = 8192, 16 * 1024 * 1024
    assert [last_end(place) for place in (7 * page + 24, segment + 40)] == [7 * page, segment]
    assert [last_end(place) for place in (7 * page + 40, 7 * page, 100)] == [7 * page + 40, 7 * page, 100]


def caller(world: World) -> Operator:
    return Operator(world.tenant_id, Actor(ActorKind.SYSTEM, new_id(), "test"), frozenset())


async def test_without_a_fit_replica_the_primary_answers_and_the_log_says_so_once(world: World) -> None:
    """What is no replica, though it is the very database, what lets us in no more, and what is not there at all."""
    for url, reason in (
        (world.url, "is no replica of this database"),
        (world.url.replace("//larder_app@", "//nobody_known@"), "away"),
        ("postgresql://x@127.0.0.1:1/x", "away"),
    ):
        replica = Database(url, Failpoints(), pool_size=1)
        await replica.open()
        reports = Reports(world.database, replica, Clock())

        async def names(transaction: Transaction) -> list[str]:
            return [row["name"] for row in await transaction.fetch("SELECT name FROM machines ORDER BY name")]

        with capture_logs() as said:
            for _ in range(2):
                await reports.check()
            report = await reports.unit("test", names, caller=caller(world))
        told = [line for line in said if line["event"].startswith(("replica", "report_"))]
        assert [(line["event"], line["reason"]) for line in told] == [("replica_not_used", reason)]
        assert report.value == ["Drinks", "Snacks"]
        await replica.close()


@pytest.mark.criterion("6.3")
async def test_nothing_is_written_and_each_report_is_dated(world: World) -> None:
    async def write(transaction: Transaction) -> None:
        await transaction.execute("UPDATE machines SET name = 'x'")

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await Reports(world.database, None, Clock()).unit("test", write, caller=caller(world))
    span = "from=2026-01-01T00:00:00Z&to=2026-01-31T00:00:00Z"
    for path in (
        f"/v1/sales?{span}",
        f"/v1/sales/products?{span}",
        "/v1/orders/export?format=csv",
        "/v1/inventory/movements/export?format=ndjson",
    ):
        before = Clock().now()
        answer = await world.client.get(path, headers=world.operator)
        assert answer.status_code == 200, path
        assert before <= datetime.fromisoformat(answer.headers[AS_OF]) <= Clock().now(), path
