"""Two instances on one database behind HAProxy: one is killed, later the other is told to stop, and nobody notices."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from cloud import demo, schema
from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.demo import Seeded
from cloud.failpoints import Failpoints
from cloud.postgres import EmbeddedPostgres
from shared.inventory import Reason
from shared.onboarding import GatewayClaimed
from tests.cloud.processes import CloudProcess, serving
from tests.fakes.gateway_client import GatewayClient, Slot
from tests.fakes.haproxy import balanced, free_port
from tests.fakes.until import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

STEADY_SECONDS = 2.0
PAUSE = 0.01
JSON = {"Content-Type": "application/json"}
MANY = "100000/1"


class Load:
    """Clients before the proxy: people, a gateway that pushes and pulls, a page's stream and a doorbell."""

    def __init__(self, url: str, seeded: Seeded, gateway: GatewayClient, slot: Slot) -> None:
        self._url = url
        self._seeded = seeded
        self._gateway = gateway
        self._slot = slot
        self._stopped = asyncio.Event()
        self._asking: list[asyncio.Task[None]] = []
        self.answers: Counter[str] = Counter()
        self.connected: Counter[str] = Counter()
        self.acknowledged = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        steady = [self._people, self._people, self._pulls, self._pushes]
        self._asking = [asyncio.create_task(work()) for work in steady]
        hanging = [asyncio.create_task(work()) for work in (self._doorbell, self._stream)]
        try:
            yield
        finally:
            await self.stop()
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)

    async def stop(self) -> None:
        """Ask nothing more, and wait for the last answers."""
        self._stopped.set()
        await asyncio.gather(*self._asking)

    async def _steadily(self, name: str, ask: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=30) as client:
            while not self._stopped.is_set():
                try:
                    answer = await ask(client)
                    told = "" if answer.is_success else answer.text[:80]
                    self.answers[f"{name} {answer.status_code}{told}"] += 1
                except httpx.TransportError as error:
                    self.answers[f"{name} {error!r}"] += 1
                await asyncio.sleep(PAUSE)

    async def _people(self) -> None:
        headers = {"Authorization": f"Bearer {self._seeded.api_key}"}
        await self._steadily("orders", lambda client: client.get("/v1/orders", headers=headers))

    async def _pulls(self) -> None:
        headers = self._gateway.authorisation()
        await self._steadily("changes", lambda client: client.get("/v1/sync/changes", headers=headers))

    async def _pushes(self) -> None:
        async def push(client: httpx.AsyncClient) -> httpx.Response:
            self._gateway.sell(self._slot)
            packed = self._gateway.packed(self.acknowledged + 1)
            answer = await client.post("/v1/sync/facts", content=packed, headers=self._gateway.headers())
            if answer.status_code == 200:
                self.acknowledged = answer.json()["seq"]
            return answer

        await self._steadily("facts", push)

    async def _doorbell(self) -> None:
        where = self._url.replace("http", "ws") + "/v1/sync/doorbell"
        while True:
            try:
                async with connect(where, additional_headers=self._gateway.authorisation()) as line:
                    assert await line.recv() == "pull"
                    self.connected["doorbell"] += 1
                    while True:
                        await line.recv()
            except (ConnectionClosed, InvalidHandshake, OSError, EOFError):
                await asyncio.sleep(0.1)

    async def _stream(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=30) as client:
            secret = (
                await client.post("/login", data={"email": self._seeded.email, "password": self._seeded.password})
            ).cookies["__Host-larder"]
            while True:
                try:
                    cookie = {"Cookie": f"__Host-larder={secret}"}
                    async with client.stream("GET", "/orders/events", headers=cookie) as events:
                        async for chunk in events.aiter_bytes():
                            self.connected["stream"] += b"retry" in chunk
                            self.connected["moved"] += b"moved" in chunk
                except httpx.TransportError:
                    await asyncio.sleep(0.1)


@pytest.fixture
async def database_url(tmp_path: Path) -> AsyncIterator[str]:
    postgres = EmbeddedPostgres(tmp_path / "pg", durable=False)
    try:
        await schema.migrate(await postgres.start())
        yield postgres.app_url
    finally:
        await postgres.stop()


@pytest.fixture
async def seeded(database_url: str) -> Seeded:
    database = Database(database_url, Failpoints())
    await database.open()
    made = await demo.seed(database, Clock())
    await database.close()
    assert made is not None
    return made


async def a_slot(database_url: str) -> Slot:
    async def work(transaction: Transaction) -> Slot:
        row = await transaction.fetch_one(
            "SELECT p.machine_id, s.device_id, s.product_id, s.slot, s.price_minor FROM planogram_slots s"
            " JOIN planograms p ON p.id = s.planogram_id WHERE s.slot = 'A1' LIMIT 1"
        )
        assert row is not None
        return Slot(**row)

    database = Database(database_url, Failpoints())
    await database.open()
    try:
        return await database.unit("test", work, tenant_id=demo.TENANT_ID)
    finally:
        await database.close()


async def claim(url: str, gateway: GatewayClient, seeded: Seeded) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        wish = gateway.wish(seeded.gateway_claim_code).to_line()
        answer = await client.post("/v1/claim", content=wish, headers=JSON)
        gateway.claimed = GatewayClaimed.model_validate_json(answer.content)


@asynccontextmanager
async def instance(database_url: str, port: int) -> AsyncIterator[CloudProcess]:
    settings = {"PORT": str(port), "DRAIN_SECONDS": "3", "TRUSTED_PROXIES": "127.0.0.1/32", "RATE_ADDRESS": MANY}
    settings |= {"RATE_ACTOR": MANY, "RATE_TENANT": MANY, "RATE_GATEWAY": MANY}
    async with serving(database_url, **{f"LARDER_CLOUD_{name}": text for name, text in settings.items()}) as cloud:
        yield cloud


@pytest.mark.criterion("5.6")
@pytest.mark.criterion("3.5")
async def test_two_instances_lose_no_request_when_one_is_killed_and_the_other_told_to_stop(
    database_url: str, seeded: Seeded, tmp_path: Path
) -> None:
    gateway, slot, ports = GatewayClient(), await a_slot(database_url), (free_port(), free_port())
    async with (
        balanced(tmp_path, ports) as url,
        instance(database_url, ports[0]) as first,
        instance(database_url, ports[1]) as second,
    ):
        await claim(url, gateway, seeded)
        gateway.move(slot, 1_000, Reason.OPENING)
        load = Load(url, seeded, gateway, slot)
        async with load.running():
            await asyncio.sleep(STEADY_SECONDS)
            first.process.kill()
            await first.ended(5)
            await asyncio.sleep(STEADY_SECONDS)
            async with instance(database_url, ports[0]):
                await asyncio.sleep(1)  # until HAProxy has seen that it is ready
                before = load.connected.total()
                second.process.send_signal(signal.SIGTERM)
                assert await second.ended(20) == 0
                await until(lambda: load.connected.total() > before, 20)
                await asyncio.sleep(STEADY_SECONDS)
                await load.stop()
    print(dict(load.answers), dict(load.connected))
    assert {name for name in load.answers if not name.endswith(" 200")} == set(), load.answers
    assert min(load.answers[f"{name} 200"] for name in ("orders", "changes", "facts")) > 20
    assert min(load.connected[name] for name in ("doorbell", "stream")) >= 2, "each was cut off at least once"
    assert load.connected["moved"] > 0
