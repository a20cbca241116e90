"""Told to stop, the cloud says so to whoever asks whether it is ready, serves on, and drops no request."""

import asyncio
import signal
from collections import Counter

import asyncpg
import httpx
import pytest

from cloud import demo
from cloud.clock import Clock
from cloud.database import Database, credentials
from cloud.server import Stopping
from tests.cloud.processes import CloudProcess, serving
from tests.fakes.until import until

CLIENTS = 8


class Load:
    """Clients that ask without a pause until nobody listens any more."""

    def __init__(self, url: str, api_key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self.answers: Counter[str] = Counter()

    async def run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))

    async def _client(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=15) as client:
            while True:
                try:
                    answer = await client.get("/v1/orders")
                except httpx.ConnectError:  # not sent: nothing was dropped
                    return
                except httpx.TransportError as error:
                    self.answers[repr(error)] += 1
                    return
                self.answers[str(answer.status_code)] += 1


async def ready(url: str) -> int:
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        return (await client.get("/health/ready")).status_code


async def held(owner_url: str, cloud: CloudProcess, api_key: str, seconds: float) -> int:
    """The status of a request that is in progress when the cloud is told to stop, and takes that long."""
    owner = await asyncpg.connect(**credentials(owner_url))
    try:
        async with httpx.AsyncClient(base_url=cloud.url, timeout=15) as client, owner.transaction():
            await owner.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            asked = asyncio.create_task(client.get("/v1/orders", headers={"Authorization": f"Bearer {api_key}"}))
            await asyncio.sleep(0.2)  # until it waits for the table
            cloud.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(seconds)
            assert cloud.process.returncode is None
            await owner.execute("ROLLBACK")
            return (await asked).status_code
    finally:
        await owner.close()


@pytest.mark.criterion("5.6")
async def test_no_request_is_dropped_when_it_is_told_to_stop_under_load(database: Database, database_url: str) -> None:
    seeded = await demo.seed(database, Clock())
    assert seeded is not None
    limits = {"LARDER_CLOUD_RATE_ADDRESS": "100000/1", "LARDER_CLOUD_RATE_ACTOR": "100000/1"}
    async with serving(database_url, LARDER_CLOUD_DRAIN_SECONDS="3", **limits) as cloud:
        load = Load(cloud.url, seeded.api_key)
        asking = asyncio.create_task(load.run())
        await until(lambda: load.answers["200"] > 20)
        assert await ready(cloud.url) == 200
        cloud.process.send_signal(signal.SIGTERM)
        seen = [await ready(cloud.url)]
        while seen[-1] == 200:  # the signal is on its way
            seen.append(await ready(cloud.url))
        assert seen[-1] == 503
        before = load.answers["200"]
        await until(lambda: load.answers["200"] > before)
        assert await cloud.ended(20) == 0
        await asking
    assert set(load.answers) == {"200"}, load.answers


@pytest.mark.criterion("5.6")
async def test_a_request_in_progress_is_answered(database: Database, database_url: str, owner_url: str) -> None:
    seeded = await demo.seed(database, Clock())
    assert seeded is not None
    async with serving(database_url) as cloud:
        assert await held(owner_url, cloud, seeded.api_key, 1.0) == 200
        assert await cloud.ended(5) == 0


async def test_who_is_told_twice_does_not_wait() -> None:
    patient, hurried, dead = Stopping(60), Stopping(60), Stopping(60)
    waiting, *ending = (asyncio.create_task(stopping.run()) for stopping in (patient, hurried, dead))
    patient.leaving.set()
    hurried.leaving.set()
    await asyncio.sleep(0.01)
    assert not patient.draining.is_set()
    hurried.draining.set()
    dead.draining.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*ending)
    assert dead.leaving.is_set(), "a part died: it is not ready any more"
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
