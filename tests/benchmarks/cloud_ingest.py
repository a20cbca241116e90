"""Facts a second through the real cloud (own process, HTTP, all projections) beside a bare insert of the same facts.

Twice: one gateway alone, which waits for each acknowledgement before its next batch, and four at once, each so on its
own connection, as the cloud serves them. The bare insert has one connection and no company in both.

The floor is a fair one: the same durable server (fsync, synchronous commit), a table with the columns, defaults and
primary key of `facts`, a statement prepared once. Its clock holds the arrays' encoding, the insert and its commit;
the arrays are made before, as the requests are. It is spared what makes ingest more: HTTP, checks, walls.

`python -m tests.benchmarks.cloud_ingest [FACTS]` prints JSON; `measure` is for other benchmarks.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx

from cloud.callers import system
from cloud.catalog import service as catalog
from cloud.clock import Clock, new_id
from cloud.database import Database, Transaction, credentials
from cloud.failpoints import Failpoints
from cloud.onboarding import service as onboarding
from cloud.postgres import EmbeddedPostgres
from shared.contract import Rail
from shared.inventory import Reason
from shared.onboarding import GatewayClaimed
from tests.fakes.gateway_client import PACKED, GatewayClient, Slot

BATCH = 500
WARM_UP = 10 * BATCH
GATEWAYS = 4
ROUND = 4
"""Batches that each of the four gateways pushes between two turns of the bare insert."""
_TABLE = """
    CREATE TABLE IF NOT EXISTS bare_facts (LIKE facts INCLUDING ALL)
"""
_INSERT = """
    INSERT INTO bare_facts (tenant_id, gateway_id, epoch, seq, event, line, hash)
    SELECT $1, $2, $3, * FROM unnest($4::bigint[], $5::text[], $6::bytea[], $7::bytea[]) ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True)
class Speed:
    """Facts a second. `share` = ingest / bare insert; the goal is 0.25. `at_once`: four gateways together."""

    facts: int
    ingest: float
    bare_insert: float
    share: float
    batch_ms_median: float
    batch_ms_p99: float
    at_once_facts: int
    at_once_ingest: float
    at_once_bare_insert: float
    at_once_share: float


@dataclass
class Lane:
    """A gateway on a connection of its own. Plain HTTP/1.1: a whole client would be a tenth of what is measured."""

    gateway: GatewayClient
    slots: Sequence[Slot]
    host: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    authorisation: dict[str, str]
    """One token for all pushes, as a gateway shows one for minutes."""
    next_seq: int = 1

    def take(self) -> tuple[bytes, tuple[object, ...]]:
        """The next batch, as a request and as values of the bare insert."""
        first, self.next_seq = self.next_seq, self.next_seq + BATCH
        while len(self.gateway.lines) < self.next_seq:
            self._trade()
        body = self.gateway.packed(first, BATCH)
        headers = {"Host": self.host, "Content-Length": str(len(body))} | PACKED | self.authorisation
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST /v1/sync/facts HTTP/1.1\r\n{lines}\r\n".encode() + body, _rows(self.gateway, first)

    def _trade(self) -> None:
        """Orders of one vend each over all slots, which are filled every tenth."""
        for slot in self.slots:
            self.gateway.move(slot, 10, Reason.RESTOCK)
            for _ in range(10):
                self.gateway.sell(slot)

    async def push(self, requests: Sequence[bytes]) -> None:
        """Send one after the other; each must be acknowledged."""
        for request in requests:
            self.writer.write(request)
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            answer = await self.reader.readexactly(length)
            assert head.startswith("http/1.1 200"), answer
        assert json.loads(answer)["seq"] == self.next_seq - 1


async def measure(facts: int) -> Speed:
    """Run all on one durable embedded server, turn by turn so that cloud and bare insert meet the same weather."""
    rounds = max(1, facts // (2 * GATEWAYS * ROUND * BATCH))
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
        state = Path(folder)
        async with _cloud(state) as (url, postgres):
            lanes = await _lanes(url, postgres, json.loads((state / "demo.json").read_text()))
            connection = await asyncpg.connect(**credentials(postgres) | {"user": "larder_owner"})
            await connection.execute(_TABLE)
            await _alone(lanes[0], connection, WARM_UP // BATCH)
            await connection.execute("ANALYZE")  # what autovacuum does in a database's first minute
            ingest, bare = await _alone(lanes[0], connection, facts // BATCH)
            together, beside = await _at_once(lanes, connection, rounds)
            await connection.close()
    count, many = len(ingest) * BATCH, rounds * GATEWAYS * ROUND * BATCH
    ordered = sorted(second * 1000 for second in ingest)
    return Speed(
        count,
        count / sum(ingest),
        count / sum(bare),
        sum(bare) / sum(ingest),
        statistics.median(ordered),
        ordered[int(len(ordered) * 0.99)],
        many,
        many / together,
        many / beside,
        beside / together,
    )


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
        await joined.start()
        yield ready["url"], joined.app_url
    finally:
        serve.terminate()
        await serve.communicate()


async def _lanes(url: str, postgres: str, seeded: dict[str, str]) -> list[Lane]:
    """The demo's gateway and more of its kind, each at a site of its own, claimed and connected."""
    tenant_id = UUID(seeded["tenant_id"])
    database = Database(postgres, Failpoints())
    await database.open()

    async def site(transaction: Transaction) -> str:
        site_id = await onboarding.create_site(tenant_id, "Bench", "INR")
        gateway_id = await onboarding.create_gateway(tenant_id, site_id, "Bench gateway")
        await catalog.create_machine(transaction, tenant_id, site_id, "Bench", Rail.FREE)
        return await onboarding.issue_claim_code(transaction, system("bench"), tenant_id, gateway_id, Clock().now())

    async def products(transaction: Transaction) -> list[UUID]:
        return [row["id"] for row in await transaction.fetch("SELECT id FROM products ORDER BY id")]

    goods = await database.unit("bench.products", products, tenant_id=tenant_id)
    more = [await database.unit("bench.site", site, tenant_id=tenant_id) for _ in range(GATEWAYS - 1)]
    await database.close()
    return [await _lane(url, code, goods) for code in (seeded["gateway_claim_code"], *more)]


async def _lane(url: str, code: str, goods: Sequence[UUID]) -> Lane:
    gateway = GatewayClient()
    async with httpx.AsyncClient(base_url=url) as client:
        wish = gateway.wish(code).to_line()
        answer = await client.post("/v1/claim", content=wish, headers={"Content-Type": "application/json"})
        gateway.claimed = GatewayClaimed.model_validate_json(answer.content)
        answer = await client.get("/v1/sync/changes", headers=gateway.authorisation())
    machine_id = next(UUID(c["machine_id"]) for c in answer.json()["changes"] if c["kind"] == "machine")
    slots = [Slot(machine_id, new_id(), product_id, f"A{number}") for number, product_id in enumerate(goods, 1)]
    host, port = url.removeprefix("http://").split(":")
    connection = await asyncio.open_connection(host, int(port))
    return Lane(gateway, slots, f"{host}:{port}", *connection, gateway.authorisation())


async def _alone(lane: Lane, connection: asyncpg.Connection, batches: int) -> tuple[list[float], list[float]]:
    """Seconds a batch: one gateway, and the bare insert."""
    ingest, bare = [], []
    for _ in range(batches):
        request, rows = lane.take()
        ingest.append(await _seconds(lane.push([request])))
        bare.append(await _seconds(connection.execute(_INSERT, *rows)))
    return ingest, bare


async def _at_once(lanes: Sequence[Lane], connection: asyncpg.Connection, rounds: int) -> tuple[float, float]:
    """Seconds for all rounds: all gateways at once, and the bare insert of the same facts."""
    ingest = bare = 0.0
    for _ in range(rounds):
        taken = [[lane.take() for _ in range(ROUND)] for lane in lanes]
        pushes = [lane.push([request for request, _ in turn]) for lane, turn in zip(lanes, taken, strict=True)]
        ingest += await _seconds(asyncio.gather(*pushes))
        for turn in taken:
            for _, rows in turn:
                bare += await _seconds(connection.execute(_INSERT, *rows))
    return ingest, bare


async def _seconds(work: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


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
