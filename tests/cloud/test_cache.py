"""What a process keeps in mind: never for longer than it hears of changes, and never more than its share."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from cloud.auth.keys import KeyService
from cloud.cache import OLDEST_SECONDS, Cache, Caches, Owned
from cloud.clock import Clock
from cloud.errors import Unauthenticated
from cloud.watch import Watch
from tests.cloud.conftest import Server, World
from tests.fakes.until import until

ONE, OTHER = UUID(int=1), UUID(int=2)


class Source:
    """What is asked when nothing is kept."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0

    async def load(self, tenant_id: UUID = ONE) -> Owned[int]:
        self.asked += 1
        return Owned(tenant_id, self.asked)


def heard(source: Source, most: int = 10, most_of_tenant: int = 10) -> Cache[str, int]:
    made: Cache[str, int] = Cache("tests", lambda: source.now, most=most, most_of_tenant=most_of_tenant)
    made.hear(is_heard=True)
    return made


async def test_it_is_asked_once_until_it_is_rung_or_old() -> None:
    source = Source()
    caches = Caches(lambda: source.now)
    cache: Cache[str, int] = caches.make("tests")
    caches.hear(is_heard=True)
    assert [await cache.get("a", source.load) for _ in range(3)] == [1, 1, 1]
    assert (cache.hits, cache.misses) == (2, 1)
    caches.rung("tests", OTHER)
    caches.rung("others", ONE)
    assert await cache.get("a", source.load) == 1, "another tenant's, or another kind's, dropped it"
    caches.rung("tests", ONE)
    assert await cache.get("a", source.load) == 2
    source.now += OLDEST_SECONDS
    assert await cache.get("a", source.load) == 3


async def test_while_nobody_listens_nothing_is_kept() -> None:
    source = Source()
    cache = heard(source)
    await cache.get("a", source.load)
    cache.hear(is_heard=False)
    assert [await cache.get("a", source.load) for _ in range(2)] == [2, 3]
    cache.hear(is_heard=True)
    assert [await cache.get("a", source.load) for _ in range(2)] == [4, 4]


async def test_what_was_being_loaded_when_it_changed_is_not_kept() -> None:
    source = Source()
    cache = heard(source)

    async def overtaken() -> Owned[int]:
        found = await source.load()
        cache.forget(ONE)
        return found

    assert await cache.get("a", overtaken) == 1
    assert await cache.get("a", source.load) == 2, "what was true before the change was kept after it"


async def test_it_has_a_bound_and_no_tenant_takes_it_all() -> None:
    source = Source()
    cache = heard(source, most=4, most_of_tenant=3)
    await cache.get("other", lambda: source.load(OTHER))
    for key in "abcde":
        await cache.get(key, source.load)
    assert (len(cache), cache.hits) == (4, 0)
    for key in ("other", "c", "d", "e"):
        await cache.get(key, source.load)
    assert cache.hits == 4
    third = UUID(int=3)
    await cache.get("third", lambda: source.load(third))
    assert len(cache) == 4
    for tenant_id in (ONE, OTHER, third):
        cache.forget(tenant_id)
    assert len(cache) == 0


@pytest.fixture
async def caches(world: World) -> AsyncIterator[Caches]:
    """Of an instance beside the app, on the same database. For it no time passes: only what it hears makes it ask."""
    beside = Caches(lambda: 0.0)
    watching = asyncio.create_task(Watch(world.url, beside).run(), name="watch")
    yield beside
    watching.cancel()


async def keeps(keys: KeyService, caches: Caches, secret: str) -> None:
    """Return once what it keeps is used."""
    used = caches.count().hits
    async with asyncio.timeout(10):
        while caches.count().hits == used:
            await keys.operator(secret)


@pytest.mark.criterion("6.2")
async def test_a_key_revoked_at_one_instance_is_refused_by_the_other(
    world: World, caches: Caches, server: Server
) -> None:
    keys = KeyService(world.database, Clock(), caches)
    await keeps(keys, caches, world.seeded.api_key)
    await server.administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    await until(lambda: caches.count().entries == 0)
    await keeps(keys, caches, world.seeded.api_key)
    await world.rows("UPDATE api_keys SET revoked_at = now()")
    await until(lambda: caches.count().entries == 0)
    with pytest.raises(Unauthenticated):
        await keys.operator(world.seeded.api_key)
