"""The benchmark of the API asks what it says it asks, and counts what there is to count. Nothing here is timed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

import asyncpg
import httpx
import pytest

from cloud.auth.gate import COOKIE
from cloud.database import credentials
from tests.benchmarks.api_bench.crowd import Crowd
from tests.benchmarks.api_bench.instances import instances
from tests.benchmarks.api_bench.load import Load, Plan, end
from tests.benchmarks.api_bench.operations import doorbells, operations, request, streams
from tests.benchmarks.api_bench.report import Doorbells, Figure
from tests.benchmarks.api_bench.world import BATCH_FACTS, EMAIL, PHRASE, world_at_size

STREAMS, DOORBELLS = 3, 4


@pytest.mark.criterion("6.3")
async def test_every_operation_is_answered_among_those_who_listen(tmp_path: Path) -> None:
    async with (
        world_at_size(tmp_path, 300, 200, DOORBELLS, durable=False) as world,
        instances(world.url, world.postgres_pid, 1) as cloud,
        httpx.AsyncClient(base_url=cloud.running[0].url) as browser,
    ):
        session = (await browser.post("/login", data={"email": EMAIL, "password": PHRASE})).cookies[COOKIE]
        crowd = Crowd(cloud.ports)
        listening = await crowd.stand(streams(session, STREAMS), doorbells(world, DOORBELLS))
        for operation in operations(world, session):
            for plan in (operation.at_once(cloud.ports, 0.02), operation.at_rate(cloud.ports, 2 / operation.rate)):
                outcome = await Load(plan).run()
                assert (outcome.failed, bool(outcome.latencies_ms)) == ({}, True), operation.name
        assert (crowd.standing.streams, crowd.standing.doorbells) == (STREAMS, DOORBELLS)
        for task in listening:
            task.cancel()
        await asyncio.wait(listening)
        assert cloud.peak_rss_mb()[0] > 20
        assert min(cloud.cpu_s()) > 0
        superuser = await asyncpg.connect(**credentials(world.url) | {"user": "postgres"})
        told = await superuser.fetchval("SELECT count(*) FROM facts WHERE epoch = 2")
        await superuser.close()
    assert told == sum(one.next_seq - 1 for one in world.pushers) >= 3 * BATCH_FACTS


@pytest.fixture
async def slow_port() -> AsyncIterator[tuple[int, list[float]]]:
    """A server that keeps its first client waiting until many others must have asked, and for how long it did."""
    held: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            if not held:
                came = perf_counter()
                await asyncio.sleep(0.1)
                held.append((perf_counter() - came) * 1000)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await end(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], held
    server.close()
    await server.wait_closed()


async def test_latencies_count_from_when_a_request_was_due(slow_port: tuple[int, list[float]]) -> None:
    port, held = slow_port
    plan = Plan([port], [[request("GET", "/", {})]], connections=1, rate=100.0, seconds=0.1)
    outcome = await Load(Plan.from_json(plan.to_json())).run()
    assert len(outcome.latencies_ms) == 10
    for place, latency in enumerate(outcome.latencies_ms):
        assert latency >= held[0] - place * 10, "it waited behind the first, however quick its own answer was"


def test_figures_tell_their_verdict() -> None:
    def figure(p99_ms: float, failed: dict[str, int]) -> Figure:
        return Figure("quiet", "list", 3.0, p99_ms, 200.0, 400.0, 2.0, 1.0, 0.1, 50.0, failed)

    assert [figure(50, {}).met, figure(51, {}).met, figure(5, {"503": 1}).met] == [True, False, False]
    assert "NOT MET  FAILED {'503': 1}" in figure(5, {"503": 1}).text()
    bells = Doorbells(5_000, 400.0, 100.0, 3.0, 400.0)
    assert "60 KB each" in bells.text()
    assert bells.text().endswith("met")
