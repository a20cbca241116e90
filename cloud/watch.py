"""Who waits for what to change, over all processes: one LISTEN connection, ids only.

A touch wakes; it carries no data, so a missed one between two reads costs nothing. After the connection was lost,
everybody is woken.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from cloud.cache import Caches
from cloud.database import APP_ROLE, credentials

log = structlog.get_logger()

_CHANNEL = "larder"
_PROBE_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class Flag:
    """Set and cleared as an event is. Whoever waits for one of several waits for the event `wake`, which all set.

    It takes a tenth of an event's memory, and nobody needs a task to wait for it: there are thousands of doorbells.
    """

    __slots__ = ("_is_set", "_wake")

    def __init__(self, wake: asyncio.Event) -> None:
        self._is_set = False
        self._wake = wake

    def is_set(self) -> bool:
        """Whether it was set since it was cleared."""
        return self._is_set

    def set(self) -> None:
        """Wakes."""
        self._is_set = True
        self._wake.set()

    def clear(self) -> None:
        """Leaves `wake` as it is."""
        self._is_set = False


class Watch:
    """Wakes those who watch a (kind, id) when some transaction that rang it has committed."""

    def __init__(self, url: str, caches: Caches | None = None) -> None:
        """`caches` are told what is rung, and whether it is heard."""
        self._url = url
        self._caches = caches or Caches()
        self._waiting: dict[str, set[asyncio.Event | Flag]] = {}
        self._pause = _FIRST_PAUSE

    @contextmanager
    def on(self, kind: str, key: UUID) -> Iterator[asyncio.Event]:
        """An event set by each touch while the context lasts. Clear it, then read, then wait."""
        event = asyncio.Event()
        with self._among(f"{kind} {key}", event):
            yield event

    @contextmanager
    def flag(self, kind: str, key: UUID, wake: asyncio.Event) -> Iterator[Flag]:
        """A flag set by each touch while the context lasts, and `wake` with it."""
        flag = Flag(wake)
        with self._among(f"{kind} {key}", flag):
            yield flag

    @contextmanager
    def _among(self, watched: str, one: asyncio.Event | Flag) -> Iterator[None]:
        self._waiting.setdefault(watched, set()).add(one)
        try:
            yield
        finally:
            self._waiting[watched].discard(one)
            if not self._waiting[watched]:
                del self._waiting[watched]

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is made again."""
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("watch_lost", error=repr(error), again_in_s=self._pause)
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(
            **credentials(self._url), timeout=_CONNECT_SECONDS, server_settings={"role": APP_ROLE}
        )
        try:
            await connection.add_listener(_CHANNEL, self._heard)
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            self._pause = _FIRST_PAUSE
            self._caches.hear(is_heard=True)
            self._wake_all()
            while True:
                await first_of(lost, seconds=_PROBE_SECONDS)
                await connection.execute("SELECT 1", timeout=_CONNECT_SECONDS)
        finally:
            self._caches.hear(is_heard=False)
            connection.terminate()

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        kind, _, key = str(payload).partition(" ")
        self._caches.rung(kind, UUID(key))
        for event in self._waiting.get(str(payload), ()):
            event.set()

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()


async def first_of(*events: asyncio.Event, seconds: float) -> None:
    """Return when one of the events is set, or after some time."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set within this time. Returns as soon as it is."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
