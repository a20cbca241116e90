"""Facts a second through the real cloud (own process, HTTP, all projections) beside a bare insert of the same facts.

`python -m tests.benchmarks.cloud_ingest [FACTS]` prints JSON; `measure` is for other benchmarks.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx

from cloud.database import credentials
from cloud.postgres import EmbeddedPostgres
from shared.inventory import Reason
from shared.onboarding import GatewayClaimed
from tests.fakes.gateway_client import GatewayClient, Slot

BATCH = 500
WARM_UP = 10 * BATCH
_TABLE = """
    CREATE TABLE IF NOT EXISTS bare_facts (LIKE facts INCLUDING ALL)
"""
_INSERT = """
    INSERT INTO bare_facts (tenant_id, gateway_id, epoch, seq, event, line, hash)
    SELECT $1, $2, $3, * FROM unnest($4::bigint[], $5::text[], $6::bytea[], $7::bytea[]) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Speed:
    """Facts a second. `share` = ingest / bare insert; the goal is 0.25."""

    facts: int
    ingest: float
    bare_insert: float
    share: float
    batch_ms_median: float
    batch_ms_p99: float


async def measure(facts: int) -> Speed:
    """Run both on one durable embedded server, batch by batch in turn."""
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
        state = Path(folder)
        async with _cloud(state) as (url, postgres):
            seeded = json.loads((state / "demo.json").read_text())
            gateway = await _claimed(url, seeded["gateway_claim_code"])
            await _fill(gateway, url, seeded, facts + WARM_UP)
            await _race(gateway, url, postgres, 1, WARM_UP)
            seconds, bare = await _race(gateway, url, postgres, WARM_UP + 1, len(gateway.lines))
    total = len(gateway.lines) - WARM_UP
    rate, floor = total / sum(seconds), total / sum(bare)
    ordered = sorted(second * 1000 for second in seconds)
    return Speed(total, rate, floor, rate / floor, statistics.median(ordered), ordered[int(len(ordered) * 0.99)])


@asynccontextmanager
async def _cloud(state: Path) -> AsyncIterator[tuple[str, str]]:
    """The cloud's own process on a seeded database: its URL and its Postgres' URL."""
    environment = os.environ | {"LARDER_CLOUD_STATE_DIR": str(state), "LARDER_CLOUD_PORT": "0"}
    program = [sys.executable, "-m", "cloud"]
    seed = await asyncio.create_subprocess_exec(
        *program, "seed-demo", str(state / "demo.json"), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    assert await seed.wait() == 0
    serve = await asyncio.create_subprocess_exec(*program, "serve", env=environment, stdout=asyncio.subprocess.PIPE)
    assert serve.stdout is not None
    try:
        async with asyncio.timeout(30):
            ready = json.loads(await serve.stdout.readline())
        joined = EmbeddedPostgres(state)
        yield ready["url"], await joined.start()
    finally:
        serve.terminate()
        await serve.communicate()


async def _claimed(url: str, code: str) -> GatewayClient:
    gateway = GatewayClient()
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.post(
            "/v1/claim", content=gateway.wish(code).to_line(), headers={"Content-Type": "application/json"}
        )
    gateway.claimed = GatewayClaimed.model_validate_json(answer.content)
    return gateway


async def _fill(gateway: GatewayClient, url: str, seeded: dict[str, list[dict[str, str]]], facts: int) -> None:
    """Orders of one vend each over all slots of the demo's first machine, refilled every tenth."""
    machine = seeded["machines"][0]
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.get("/v1/sync/changes", headers=gateway.authorisation())
    (planogram,) = (
        change
        for change in answer.json()["changes"]
        if change["kind"] == "planogram" and change["machine_id"] == machine["machine_id"]
    )
    slots = [
        Slot(UUID(machine["machine_id"]), UUID(s["device_id"]), UUID(s["product_id"]), s["slot"], s["price_minor"])
        for s in planogram["slots"]
    ]
    while len(gateway.lines) < facts:
        for slot in slots:
            gateway.move(slot, 10, Reason.RESTOCK)
            for _ in range(10):
                gateway.sell(slot)


async def _race(
    gateway: GatewayClient, url: str, postgres: str, first_seq: int, last_seq: int
) -> tuple[list[float], list[float]]:
    """Seconds a batch, for the cloud and for the bare insert, turn by turn so that both meet the same weather."""
    connection = await asyncpg.connect(**credentials(postgres))
    await connection.execute(_TABLE)
    await connection.execute("ANALYZE")  # what autovacuum does in a database's first minute
    headers = gateway.headers()
    ingest, bare = [], []
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for first in range(first_seq, last_seq + 1, BATCH):
            packed, rows = gateway.packed(first, BATCH), _rows(gateway, first)
            begun = time.perf_counter()
            answer = await client.post("/v1/sync/facts", content=packed, headers=headers)
            told = time.perf_counter()
            await connection.execute(_INSERT, *rows)
            bare.append(time.perf_counter() - told)
            ingest.append(told - begun)
            assert answer.status_code == 200, answer.text
    await connection.close()
    assert answer.json()["seq"] >= last_seq
    return ingest, bare


def _rows(gateway: GatewayClient, first: int) -> tuple[object, ...]:
    assert gateway.claimed is not None
    lines = gateway.lines[first - 1 :][:BATCH]
    hashes = gateway.hashes[first:][: len(lines)]
    seqs = list(range(first, first + len(lines)))
    who = (gateway.claimed.tenant_id, gateway.claimed.gateway_id)
    return *who, gateway.epoch, seqs, ["fact"] * len(lines), lines, hashes


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    print(json.dumps(asdict(asyncio.run(measure(wanted))), indent=2))
