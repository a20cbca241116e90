"""Where reports are read: on a replica while it keeps up, else on the primary. Who reads here asks for it by name.

How far a replica is behind is told by positions in the log: now and then the primary's is noted with the time, and once
the replica has replayed up to a note it shows all that was committed by then. When nothing is written nothing is
missing, whatever the time of the last transaction is.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import asyncpg
import structlog
from quart import Response

from cloud import schema
from cloud.callers import Caller
from cloud.clock import Clock
from cloud.database import Database, Row, Transaction, Work
from cloud.errors import Unavailable

log = structlog.get_logger()

T = TypeVar("T")

AS_OF = "Larder-As-Of"
"""The header that says which moment a report is of: all that was committed by then is in it."""
CHECK_SECONDS = 1.0
REPLICA_SECONDS = 2.0
"""A replica that takes longer to say where it stands is away."""

LAG = "lag"

_AWAY = (Unavailable, asyncpg.PostgresError)
"""Also one that lets nobody in any more, as after a change of passwords: no reason to serve nobody."""
_WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS place"
_REPLAYED = """
    SELECT pg_is_in_recovery() AS is_replica, pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint AS place
"""
_PAGE, _SEGMENT = 8 * 1024, 16 * 1024 * 1024
_HEAD, _LONG_HEAD = 24, 40
"""Bytes of the log that a page begins with, and the first one of a segment."""
_SYSTEM = "SELECT system_identifier FROM pg_control_system()"


@dataclass(frozen=True)
class Note:
    """At `at` (and `monotonic`, in seconds) the primary's log went on to `place` or farther."""

    at: datetime
    monotonic: float
    place: int


@dataclass(frozen=True)
class Report(Generic[T]):
    """What was read, and as of when."""

    value: T
    as_of: datetime


@dataclass(frozen=True)
class Stream:
    """The first rows, those that follow, and as of when they all are."""

    first: Sequence[Row]
    more: AsyncGenerator[Sequence[Row], None]
    as_of: datetime


class _Unfit(Exception):
    """The replica cannot be used; the text says why."""


def last_end(place: int) -> int:
    """Where the last record ended, of the place where the next one begins: between them may be the head of a page."""
    in_page = place % _PAGE
    return place - in_page if in_page == _HEAD or place % _SEGMENT == _LONG_HEAD else place


class Trail:
    """Where the primary was of late, and up to where the replica has followed."""

    def __init__(self, longest_lag: float) -> None:
        """In seconds."""
        self._longest_lag = longest_lag
        self._notes: deque[Note] = deque()
        self._reached: Note | None = None

    def note(self, note: Note) -> None:
        """Later than all before. Those too old to be of use are forgotten."""
        self._notes.append(note)
        while note.monotonic - self._notes[0].monotonic > self._longest_lag:
            self._notes.popleft()

    def follow(self, replayed: int) -> None:
        """The replica is here."""
        while self._notes and self._notes[0].place <= replayed:
            self._reached = self._notes.popleft()

    def forget(self) -> None:
        """Whatever the replica was, it has to show itself anew."""
        self._reached = None

    def as_of(self, monotonic: float) -> datetime | None:
        """Up to when the replica surely knows all; None: it is too far behind, or nobody knows."""
        reached = self._reached
        return None if reached is None or monotonic - reached.monotonic > self._longest_lag else reached.at


class Reports:
    """Reads for reports, which may be a little old and take a while. Nothing can be written here."""

    def __init__(
        self,
        primary: Database,
        replica: Database | None,
        clock: Clock,
        *,
        longest_lag: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a replica all is read on the primary. `longest_lag` in seconds."""
        self._primary = primary
        self._replica = replica
        self._clock = clock
        self._monotonic = monotonic
        self._trail = Trail(longest_lag)
        self._is_used: bool | None = None

    async def unit(self, name: str, work: Work[T], *, caller: Caller) -> Report[T]:
        """As Database.unit, read-only. Raises Unavailable."""
        replica, as_of = self._replica, self._trail.as_of(self._monotonic())
        if replica is not None and as_of is not None:
            try:
                return Report(await replica.unit(name, work, caller=caller, read_only=True), as_of)
            except _AWAY:
                log.info("report_repeated_on_primary", unit=name)
        now = self._clock.now()
        return Report(await self._primary.unit(name, work, caller=caller, read_only=True), now)

    async def stream(self, name: str, sql: str, values: Sequence[object], *, caller: Caller) -> Stream:
        """As Database.stream, once its first rows are there; what breaks off later is not repeated.

        Raises Unavailable.
        """
        replica, as_of = self._replica, self._trail.as_of(self._monotonic())
        if replica is not None and as_of is not None:
            try:
                return await _begun(replica.stream(name, sql, values, caller=caller), as_of)
            except _AWAY:
                log.info("report_repeated_on_primary", unit=name)
        now = self._clock.now()
        return await _begun(self._primary.stream(name, sql, values, caller=caller), now)

    async def run(self) -> None:
        """See how far behind the replica is, until cancelled."""
        if self._replica is None:
            await asyncio.Event().wait()
        while True:
            await self.check()
            await asyncio.sleep(CHECK_SECONDS)

    async def judge(self) -> str | None:
        """Look once: why the replica is not used, `lag` if it is too far behind; None if it is."""
        reason = LAG
        try:
            await self._look()
        except _Unfit as error:
            self._trail.forget()
            reason = str(error)
        except _AWAY:
            reason = "primary away"  # what the replica had by then it still has
        return None if self._trail.as_of(self._monotonic()) is not None else reason

    async def check(self) -> None:
        """Look once, and say in the log what has changed."""
        reason = await self.judge()
        is_used = reason is None
        if is_used is not self._is_used:
            self._is_used = is_used
            if is_used:
                log.info("replica_used")
            else:
                log.warning("replica_not_used", reason=reason)

    async def _look(self) -> None:
        at, monotonic = self._clock.now(), self._monotonic()
        assert self._replica is not None  # noqa: S101  nobody checks without one
        written, system = await self._primary.unit("reports.primary", _place(_WRITTEN))
        self._trail.note(Note(at, monotonic, last_end(written["place"])))
        try:
            async with asyncio.timeout(REPLICA_SECONDS):
                replayed, of_replica = await self._replica.unit("reports.replica", _place(_REPLAYED), read_only=True)
                has_way_round = await self._replica.unit("reports.walls", schema.has_way_round, read_only=True)
        except (*_AWAY, TimeoutError):
            raise _Unfit("away") from None
        if not replayed["is_replica"] or system != of_replica:
            raise _Unfit("is no replica of this database")
        if has_way_round:
            raise _Unfit("its user can pass the walls between tenants")
        self._trail.follow(replayed["place"])


def _place(sql: str) -> Work[tuple[Row, int]]:
    async def work(transaction: Transaction) -> tuple[Row, int]:
        place, system = await transaction.fetch_one(sql), await transaction.fetch_one(_SYSTEM)
        if place is None or system is None:
            raise Unavailable
        return place, system["system_identifier"]

    return work


async def _begun(rows: AsyncGenerator[Sequence[Row], None], as_of: datetime) -> Stream:
    try:  # anext() with a default fails on 3.11 when there is none
        return Stream(await anext(rows), rows, as_of)
    except StopAsyncIteration:
        return Stream((), rows, as_of)


def dated(response: Response, as_of: datetime) -> Response:
    """The same, which says as of when it is."""
    response.headers[AS_OF] = as_of.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return response
