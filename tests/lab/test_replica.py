"""A real streaming replica: reports go there while it keeps up, and nobody notices when it does not."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from cloud import demo, schema
from cloud.callers import Actor, ActorKind, Operator
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction, credentials
from cloud.failpoints import Failpoints
from cloud.postgres import EmbeddedPostgres
from cloud.reports import Report, Reports
from tests.fakes.replica import replicated

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

LONGEST_LAG = 2.0


def of(tenant_id: object) -> Operator:
    return Operator(tenant_id, Actor(ActorKind.SYSTEM, new_id(), "test"), frozenset())  # type: ignore[arg-type]


async def where(transaction: Transaction) -> tuple[bool, list[str]]:
    """Whether it is the replica, and which products it shows."""
    row = await transaction.fetch_one("SELECT pg_is_in_recovery() AS is_replica")
    names = [row["name"] for row in await transaction.fetch("SELECT name FROM products WHERE name LIKE 'Lab%'")]
    return row is not None and row["is_replica"], names


class Shop:
    """A primary and its replica, and reports on both."""

    def __init__(self, primary: Database, reports: Reports, replica: asyncpg.Connection) -> None:
        self.primary = primary
        self.reports = reports
        self.replica = replica

    async def add(self, name: str) -> None:
        async def work(transaction: Transaction) -> None:
            sql = "INSERT INTO products (tenant_id, id, name) VALUES (current_tenant(), $1, $2)"
            await transaction.execute(sql, new_id(), name)

        await self.primary.unit("test", work, tenant_id=demo.TENANT_ID)

    async def report(self, tenant_id: object = demo.TENANT_ID) -> Report[tuple[bool, list[str]]]:
        return await self.reports.unit("test", where, caller=of(tenant_id))

    async def until_read_on(self, *, replica: bool) -> Report[tuple[bool, list[str]]]:
        async with asyncio.timeout(20):
            while True:
                await self.reports.check()
                found = await self.report()
                if found.value[0] is replica:
                    return found
                await asyncio.sleep(0.1)


@pytest.mark.criterion("6.3")
async def test_reports_leave_a_replica_that_falls_behind_and_come_back(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "primary", durable=False)
    await schema.migrate(await server.start())
    primary = Database(server.app_url, Failpoints(), pool_size=2)
    await primary.open()
    await demo.seed(primary, Clock())
    async with replicated(tmp_path / "replica", server) as standby:
        second = Database(standby.app_url, Failpoints(), pool_size=2)
        await second.open()
        owner = await asyncpg.connect(**credentials(standby.url("postgres", "larder")))
        reports = Reports(primary, second, Clock(), longest_lag=LONGEST_LAG)
        with capture_logs() as said:
            await _story(Shop(primary, reports, owner), second)
            await owner.close()
            await standby.stop()
            await reports.check()
            assert (await reports.unit("test", where, caller=of(demo.TENANT_ID))).value[0] is False
        await second.close()
    await primary.close()
    await server.stop()
    told = [(line["event"], line.get("reason")) for line in said if line["event"].startswith("replica")]
    lost, back = ("replica_not_used", "lag"), ("replica_used", None)
    assert told[-4:] == [back, lost, back, ("replica_not_used", "away")]


async def _story(shop: Shop, second: Database) -> None:
    first = await shop.until_read_on(replica=True)
    await asyncio.sleep(LONGEST_LAG + 0.5)  # nothing is written: it is no older for that
    await shop.reports.check()
    idle = await shop.report()
    assert idle.value[0], "a replica that has nothing to replay was taken for late"
    assert idle.as_of > first.as_of
    assert (await shop.report(new_id())).value == (True, []), "the walls stand there too"

    async def write(transaction: Transaction) -> None:
        await transaction.execute("UPDATE products SET name = 'x'")

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await second.unit("test", write, caller=of(demo.TENANT_ID))

    await shop.replica.execute("SELECT pg_wal_replay_pause()")
    await shop.add("Lab late")
    written = Clock().now()
    await shop.reports.check()
    behind = await shop.report()
    assert behind.value == (True, []), "within the longest lag it is read"
    assert behind.as_of < written, "it says that it knows what it does not"
    left = await shop.until_read_on(replica=False)
    assert left.value == (False, ["Lab late"])
    await shop.replica.execute("SELECT pg_wal_replay_resume()")
    back = await shop.until_read_on(replica=True)
    assert back.value == (True, ["Lab late"])
    assert back.as_of > written
