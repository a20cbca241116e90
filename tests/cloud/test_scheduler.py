"""Of all instances one leads; when its line dies it stops, and another goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg

from cloud.app import create_app
from cloud.clock import Clock
from cloud.database import credentials
from cloud.errors import Unavailable
from cloud.failpoints import Failpoints
from cloud.jobs import Retention
from cloud.scheduler import TAKEOVER_SECONDS, Job, Scheduler
from tests.cloud.conftest import Server
from tests.fakes.encryption_keys import keyring
from tests.fakes.mailbox import Mailbox
from tests.fakes.memory_objects import memory_objects

PAUSE_S = 0.05


class Instance:
    """A scheduler with one quick job, and how often that was done."""

    def __init__(self, url: str, pause_s: float = PAUSE_S) -> None:
        self.done = 0
        self.at_once = 0
        self.failing = False
        self.worked = asyncio.Event()
        job = Job("count", timedelta(milliseconds=20), self._work)
        self.scheduler = Scheduler(url, [job], pause_s=pause_s, first_run=timedelta(0))

    async def _work(self) -> int:
        self.done += 1
        self.at_once += 1
        assert self.at_once == 1
        self.worked.set()
        await asyncio.sleep(0.03)
        self.at_once -= 1
        if self.failing:
            raise Unavailable
        return 0

    async def works(self) -> None:
        """Return when the job has been done once more."""
        self.worked.clear()
        await asyncio.wait_for(self.worked.wait(), TAKEOVER_SECONDS)


@asynccontextmanager
async def running(*instances: Instance) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(instance.scheduler.run()) for instance in instances]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def leaders(server: Server, url: str) -> list[int]:
    """The backends of schedulers on this database that hold a lock."""
    connection = await asyncpg.connect(**credentials(server.postgres.url("postgres", "postgres")))
    rows = await connection.fetch(
        "SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
        " WHERE a.datname = $1 AND a.application_name = 'larder-cloud scheduler' AND l.locktype = 'advisory'",
        credentials(url)["database"],
    )
    await connection.close()
    return [row["pid"] for row in rows]


async def test_one_leads_and_when_its_line_is_killed_the_other_takes_over(server: Server, database_url: str) -> None:
    leader, heir = Instance(database_url, pause_s=2.0), Instance(database_url)
    async with running(leader), asyncio.timeout(TAKEOVER_SECONDS):
        await leader.works()
        async with running(heir):
            await asyncio.sleep(5 * PAUSE_S)
            assert leader.scheduler.leads.is_set()
            assert not heir.scheduler.leads.is_set()
            [pid] = await leaders(server, database_url)
            await server.administer(f"SELECT pg_terminate_backend({pid})")
            await heir.scheduler.leads.wait()
            await heir.works()
            assert not leader.scheduler.leads.is_set()
            done = leader.done
            await heir.works()
            assert leader.done == done
            assert len(await leaders(server, database_url)) == 1
        await leader.scheduler.leads.wait()  # the heir has gone home


async def test_a_job_that_fails_has_its_next_time(database_url: str) -> None:
    instance = Instance(database_url)
    instance.failing = True
    async with running(instance):
        await instance.works()
        await instance.works()
    assert not instance.scheduler.leads.is_set()
    done = instance.done
    await asyncio.sleep(0.1)
    assert instance.done == done, "nothing runs once it has stopped"


async def test_without_a_database_it_waits(database_url: str) -> None:
    instance = Instance("postgresql://larder_app@/nowhere?host=/nonexistent")
    async with running(instance):
        await asyncio.sleep(4 * PAUSE_S)
        assert instance.done == 0


async def test_an_app_that_is_told_a_retention_runs_it(server: Server, database_url: str) -> None:
    draining = asyncio.Event()
    app = create_app(
        database_url,
        clock=Clock(),
        failpoints=Failpoints(),
        draining=draining,
        keyring=keyring(),
        carrier=Mailbox(),
        objects=memory_objects(),
        pool_size=1,
        retention=Retention(),
    )
    async with app.test_app(), asyncio.timeout(TAKEOVER_SECONDS):
        while not await leaders(server, database_url):  # noqa: ASYNC110 - Postgres has no such event
            await asyncio.sleep(0.02)
    assert not draining.is_set()
    assert await leaders(server, database_url) == []
