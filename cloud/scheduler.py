"""Work that comes due by the clock, done by one instance: whoever holds an advisory lock on a connection of its own.

A leader whose connection dies gives up at once; a new one takes over within TAKEOVER_SECONDS. For a moment both may
work, so every job must bear being done twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import structlog
from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from cloud.database import APP_ROLE, credentials
from cloud.watch import first_of

log = structlog.get_logger()

TAKEOVER_SECONDS = 30.0
_LOCK = 0x6C617265  # "lare"
_CONNECT_SECONDS = 5.0
_FIRST_RUN = timedelta(seconds=30)
"""After an instance begins to lead: the start of a process is no time for work that can wait."""


@dataclass(frozen=True)
class Job:
    """What is done, and how often. `work` returns how much it has changed; it may raise: its time comes again."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[int]]


class Scheduler:
    """Runs jobs while it leads. `pause_s`: between two looks whether it may lead, or still does."""

    def __init__(
        self, url: str, jobs: Sequence[Job], *, pause_s: float = 5.0, first_run: timedelta = _FIRST_RUN
    ) -> None:
        self._url = url
        self._jobs = jobs
        self._pause_s = pause_s
        self._first_run = first_run
        self.leads = asyncio.Event()
        """Set as long as it does."""

    async def run(self) -> None:
        """Wait for the lead, lead, and wait anew when it is lost; until cancelled."""
        while True:
            try:
                await self._stand()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("scheduler_lost_its_line", error=repr(error), again_in_s=self._pause_s)
            await asyncio.sleep(self._pause_s)

    async def _stand(self) -> None:
        settings = {
            "role": APP_ROLE,
            "application_name": "larder-cloud scheduler",
            # A leader that is cut off says nothing any more: Postgres ends its session, and with it the lock.
            "idle_session_timeout": str(int((TAKEOVER_SECONDS - 2 * self._pause_s) * 1000)),
        }
        connection: Any = await asyncpg.connect(
            **credentials(self._url), timeout=_CONNECT_SECONDS, server_settings=settings
        )
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK, timeout=_CONNECT_SECONDS):
                await first_of(lost, seconds=self._pause_s)
            await self._lead(connection, lost)
        finally:
            connection.terminate()

    async def _lead(self, connection: Any, lost: asyncio.Event) -> None:
        """Let jobs run until the line is lost. Raises what the line raises then."""
        clockwork = self._clockwork()
        clockwork.start()
        self.leads.set()
        log.info("scheduler_leads", jobs=[job.name for job in self._jobs])
        try:
            while True:
                await first_of(lost, seconds=self._pause_s)
                await connection.execute("SELECT 1", timeout=_CONNECT_SECONDS)
        finally:
            self.leads.clear()
            clockwork.shutdown(wait=False)  # cancels its jobs; a unit of work that runs goes on to its end

    def _clockwork(self) -> AsyncIOScheduler:
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        clockwork = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)
        begin = datetime.now(UTC) + self._first_run
        for job in self._jobs:
            seconds = job.every.total_seconds()
            clockwork.add_job(_do, "interval", (job,), id=job.name, seconds=seconds, next_run_time=begin)
        clockwork.add_listener(_tell_failed, EVENT_JOB_ERROR)
        return clockwork


async def _do(job: Job) -> None:
    changed = await job.work()
    if changed:
        log.info("job_done", job=job.name, changed=changed)


def _tell_failed(event: Any) -> None:
    log.error("job_failed", job=event.job_id, error=repr(event.exception))
