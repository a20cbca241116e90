"""What rarely changes, kept in a process's memory for as long as it hears of changes.

Each entry belongs to a tenant. Whoever changes what is kept rings its kind within their transaction
(`Transaction.ring`, or a trigger for those who write past it); then each process drops all it keeps of that kind and
tenant: the one that rang before its unit of work returns, all others when Postgres tells them. While nobody listens
nothing is kept. However it comes, nothing is older than OLDEST_SECONDS.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

log = structlog.get_logger()

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

OLDEST_SECONDS = 5.0
MOST = 20_000
"""Entries of a cache; about 1 KB each."""
MOST_OF_TENANT = 5_000
"""So that no tenant drives out all others."""
COUNTS_SECONDS = 60.0


@dataclass(frozen=True)
class Owned(Generic[V]):
    """Something that belongs to a tenant."""

    tenant_id: UUID
    value: V


@dataclass(frozen=True)
class Counts:
    """How often something was kept when it was asked for, how often not, and how much is."""

    hits: int
    misses: int
    entries: int


@dataclass(frozen=True)
class _Entry(Generic[V]):
    owned: Owned[V]
    loaded_at: float


class Cache(Generic[K, V]):
    """Of one kind. A key names one thing of one tenant, and nothing of any other: an id with its tenant's, a hash."""

    def __init__(
        self, kind: str, now: Callable[[], float], *, most: int = MOST, most_of_tenant: int = MOST_OF_TENANT
    ) -> None:
        self.kind = kind
        self.hits = self.misses = 0
        self._now = now
        self._most = most
        self._most_of_tenant = most_of_tenant
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._of: dict[UUID, OrderedDict[K, None]] = {}
        self._is_heard = False
        self._generation = 0

    async def get(self, key: K, load: Callable[[], Awaitable[Owned[V] | None]]) -> V | None:
        """What is kept, or else loaded; None, which is never kept, if there is nothing."""
        began, generation = self._now(), self._generation
        entry = self._entries.get(key)
        if entry is not None and began - entry.loaded_at < OLDEST_SECONDS:
            self.hits += 1
            return entry.owned.value
        self.misses += 1
        found = await load()
        if found is not None and self._is_heard and generation == self._generation:
            self._keep(key, _Entry(found, began))
        return None if found is None else found.value

    def forget(self, tenant_id: UUID) -> None:
        """Nothing of the tenant that was loaded so far, or is being loaded, is given out from here on."""
        self._generation += 1
        for key in self._of.pop(tenant_id, ()):
            del self._entries[key]

    def hear(self, *, is_heard: bool) -> None:
        """Begin with nothing; keep something only if changes are heard."""
        self._generation += 1
        self._is_heard = is_heard
        self._entries.clear()
        self._of.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def _keep(self, key: K, entry: _Entry[V]) -> None:
        """The one kept first makes room."""
        self._drop(key)
        of_tenant = self._of.setdefault(entry.owned.tenant_id, OrderedDict())
        if len(of_tenant) == self._most_of_tenant:
            self._drop(next(iter(of_tenant)))
        elif len(self._entries) == self._most:
            self._drop(next(iter(self._entries)))
        self._entries[key] = entry
        self._of.setdefault(entry.owned.tenant_id, of_tenant)[key] = None

    def _drop(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            of_tenant = self._of[entry.owned.tenant_id]
            del of_tenant[key]
            if not of_tenant:
                del self._of[entry.owned.tenant_id]


class Caches:
    """All caches of a process, told together of what has changed."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._all: list[Cache[Any, Any]] = []
        self._is_heard = False

    def make(self, kind: str, *, most: int = MOST, most_of_tenant: int = MOST_OF_TENANT) -> Cache[K, V]:
        """A new one, of what is rung as this kind with a tenant's id."""
        made: Cache[K, V] = Cache(kind, self._now, most=most, most_of_tenant=most_of_tenant)
        made.hear(is_heard=self._is_heard)
        self._all.append(made)
        return made

    def rung(self, kind: str, key: UUID) -> None:
        """Something of this kind has changed."""
        for cache in self._all:
            if cache.kind == kind:
                cache.forget(key)

    def hear(self, *, is_heard: bool) -> None:
        """Whether changes are heard from here on."""
        self._is_heard = is_heard
        for cache in self._all:
            cache.hear(is_heard=is_heard)

    def count(self) -> Counts:
        """Of all together, since the process began."""
        sums = ((cache.hits, cache.misses, len(cache)) for cache in self._all)
        return Counts(*(sum(column) for column in zip((0, 0, 0), *sums, strict=True)))

    async def run(self) -> None:
        """Say in the log each minute how they were used, if they were."""
        told = self.count()
        while True:
            await asyncio.sleep(COUNTS_SECONDS)
            now = self.count()
            if (now.hits, now.misses) != (told.hits, told.misses):
                hits, misses = now.hits - told.hits, now.misses - told.misses
                log.info("caches_used", hits=hits, misses=misses, entries=now.entries)
            told = now
