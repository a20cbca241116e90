"""An export of very many orders: all of them, in little memory, while others are served.

python -m tests.lab.export [--orders N | --full]

The cloud runs in a process of its own on a durable embedded server. Its resident memory is read 20 times a second; what
counts is the most of it over what it was after a first small export, which has loaded all code.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import psutil

from cloud.database import credentials
from cloud.postgres import EmbeddedPostgres

BRACKETED, FULL = 50_000, 1_000_000
LIMIT_BYTES = 60 * 1024 * 1024
_ORDERS = """
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, state, placed_at)
    SELECT $1, uuidv7(), (SELECT min(id::text)::uuid FROM machines), 'cash', 'INR', n, 1, 'settled',
           now() - n * interval '1 second'
    FROM generate_series($2::integer, $3::integer) n
"""


@dataclass(frozen=True)
class Report:
    """One export of each format."""

    orders: int
    rows: dict[str, int]
    seconds: dict[str, float]
    extra_bytes: dict[str, int]
    slowest_other_ms: float
    """The slowest answer that somebody else got meanwhile."""

    @property
    def good(self) -> bool:
        """Whole, and in little memory."""
        return set(self.rows.values()) == {self.orders} and max(self.extra_bytes.values()) <= LIMIT_BYTES

    def __str__(self) -> str:
        each = ", ".join(
            f"{form}: {self.rows[form]:,} rows in {self.seconds[form]:.1f} s, +{self.extra_bytes[form] / 2**20:.1f} MB"
            for form in self.rows
        )
        return f"{self.orders:,} orders; {each}; slowest other answer {self.slowest_other_ms:.0f} ms"


@asynccontextmanager
async def _cloud(state: Path) -> AsyncIterator[tuple[str, str, psutil.Process]]:
    """The cloud on a seeded database: its URL, its Postgres' URL, its process."""
    environment = os.environ | {"LARDER_CLOUD_STATE_DIR": str(state), "LARDER_CLOUD_PORT": "0"}
    program = [sys.executable, "-m", "cloud"]
    seed = await asyncio.create_subprocess_exec(
        *program, "seed-demo", str(state / "demo.json"), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    assert await seed.wait() == 0
    with (state / "cloud.log").open("wb") as log:
        serve = await asyncio.create_subprocess_exec(*program, "serve", env=environment, stdout=log)
    try:
        url = await _url(state / "cloud.log")
        joined = EmbeddedPostgres(state)
        await joined.start()
        yield url, joined.app_url, psutil.Process(serve.pid)
    finally:
        serve.terminate()
        await serve.wait()


async def _url(log: Path) -> str:
    async with asyncio.timeout(60):
        while True:
            for line in log.read_text().splitlines():
                entry = json.loads(line)
                if entry["event"] == "ready":
                    return str(entry["url"])
            await asyncio.sleep(0.05)


async def _fill(postgres: str, tenant_id: UUID, orders: int) -> None:
    connection = await asyncpg.connect(**credentials(postgres), server_settings={"role": "larder_app"})
    await connection.execute("SELECT set_config('app.tenant', $1, false)", str(tenant_id))
    for first in range(1, orders + 1, 50_000):
        await connection.execute(_ORDERS, tenant_id, first, min(first + 49_999, orders))
    await connection.close()


async def _read(client: httpx.AsyncClient, query: str) -> int:
    """How many line breaks came."""
    lines = 0
    async with client.stream("GET", f"/v1/orders/export?{query}", timeout=900) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for chunk in answer.aiter_raw():
            lines += chunk.count(b"\n")
    return lines


async def _most_memory(process: psutil.Process, found: list[int]) -> None:
    while True:
        found.append(process.memory_info().rss)
        await asyncio.sleep(0.05)


async def _others(client: httpx.AsyncClient, waits: list[float]) -> None:
    """Somebody else looks at the machines again and again."""
    while True:
        started = time.perf_counter()
        (await client.get("/v1/machines", timeout=30)).raise_for_status()
        waits.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.1)


async def run(orders: int) -> Report:
    """Fill, export once in each format, watch."""
    rows: dict[str, int] = {}
    seconds: dict[str, float] = {}
    extra: dict[str, int] = {}
    waits: list[float] = []
    with tempfile.TemporaryDirectory(prefix="larder-lab-") as folder:
        state = Path(folder)
        async with _cloud(state) as (url, postgres, process):
            seeded = json.loads((state / "demo.json").read_text())
            headers = {"Authorization": f"Bearer {seeded['api_key']}"}
            await _fill(postgres, UUID(seeded["tenant_id"]), 2_000)
            async with httpx.AsyncClient(base_url=url, headers=headers) as client:
                for form in ("csv", "ndjson"):
                    await _read(client, f"format={form}")
                await client.get("/v1/machines")
                await _fill(postgres, UUID(seeded["tenant_id"]), orders - 2_000)
                other = asyncio.create_task(_others(client, waits), name="others")
                for form in ("csv", "ndjson"):
                    before, found, started = process.memory_info().rss, [0], time.perf_counter()
                    watching = asyncio.create_task(_most_memory(process, found), name="memory")
                    rows[form] = await _read(client, f"format={form}") - (form == "csv")
                    seconds[form] = time.perf_counter() - started
                    watching.cancel()
                    extra[form] = max(found) - before
                assert not other.done(), other.exception()
                other.cancel()
    return Report(orders, rows, seconds, extra, max(waits, default=0.0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=BRACKETED)
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} orders")
    options = parser.parse_args()
    report = asyncio.run(run(FULL if options.full else options.orders))
    print(report)
    sys.exit(0 if report.good else 1)
