"""The part of a gateway that syncs: real ledger, outbox and agent, and a feature that only notes its changes."""

import ssl
from collections.abc import Callable
from uuid import UUID

import httpx

from edge.clock import Clock, new_id
from edge.database import Database, Transaction
from edge.errors import Refused
from edge.failpoints import Failpoints
from edge.identity import GatewayIdentity
from edge.outbox import Outbox, TelemetryBuffer
from edge.settings import Settings
from edge.site_ca import SiteCa
from edge.sync.agent import SyncAgent
from edge.sync.cloud_client import CloudClient
from edge.sync.doorbell import Doorbell
from edge.sync.files import Files
from edge.sync.pull import Pull
from edge.sync.push import Push
from edge.sync.recall import Recall
from edge.sync.trust import CloudTrust
from edge.watch import Watch
from shared.catalog import ProductVersion
from shared.errors import Code
from shared.inventory import Reason, StockMoved
from shared.sync import FactBody
from tests.fakes.site import Site, SteppedClock

UNLUCKY = "Unlucky"
"""The name of a product that the feature refuses."""


class SyncGateway:
    """Everything the agent needs, wired by hand."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        batch_facts: int = 500,
        failpoints: Failpoints | None = None,
        contexts: Callable[[], ssl.SSLContext] = httpx.create_ssl_context,
    ) -> None:
        self.clock = clock
        self.watch = Watch()
        self.failpoints = failpoints or Failpoints()
        self.database = Database(settings.state_dir, self.watch, self.failpoints)
        self.outbox = Outbox(clock)
        self.telemetry = TelemetryBuffer()
        self.identity = GatewayIdentity(settings.state_dir, clock)
        self.trust = CloudTrust(clock, contexts)
        self.client = CloudClient(settings.cloud_url, self.identity, clock, settings.cloud_timeout_s, self.trust)
        self.push = Push(
            self.database, self.outbox, self.telemetry, self.client, self.failpoints, self.part, batch_facts
        )
        self.pull = Pull(self.database, self.client, clock, self.failpoints, {"product": self.apply_product})
        self.site = site = Site(self.database, self.watch, SteppedClock())
        self.recall = Recall(self.database, self.client, self.pull, site.recall, self.failpoints)
        self.products: list[str] = []
        self.agent = SyncAgent(
            settings=settings,
            identity=self.identity,
            client=self.client,
            recall=self.recall,
            push=self.push,
            pull=self.pull,
            files=Files(self.client, site.shelf, site.releases, self.watch),
            doorbell=Doorbell(settings.cloud_url, self.identity, self.trust),
            watch=self.watch,
            clock=clock,
            failpoints=self.failpoints,
            software="0.1.0",
            ca_pem=SiteCa.open(settings.state_dir / "ca").certificate_pem,
            place=None,
        )

    async def open(self) -> None:
        await self.begin_epoch(await self.database.open())

    async def close(self) -> None:
        await self.client.close()
        await self.database.close()

    async def run(self) -> None:
        """Claim, then sync for ever."""
        await self.agent.claim()
        await self.agent.run()

    async def begin_epoch(self, epoch: int) -> None:
        await self.database.unit("test.epoch", lambda tx: self.outbox.begin_epoch(tx, epoch))

    async def part(self, epoch: int) -> None:
        def work(tx: Transaction) -> None:
            if self.outbox.begin_epoch(tx, epoch):
                self.outbox.move_waiting(tx)

        await self.database.unit("test.part", work)

    def apply_product(self, tx: Transaction, change: ProductVersion) -> None:
        sql = "INSERT OR REPLACE INTO products VALUES (?, ?, ?)"
        tx.run(sql, str(change.product_id), change.version, change.name)
        if change.name == UNLUCKY:
            raise Refused(Code.UNKNOWN_MACHINE, "not this one")
        self.products.append(change.name)

    async def product_names(self) -> list[str]:
        rows = await self.database.read(lambda tx: tx.all("SELECT name FROM products ORDER BY name"))
        return [row["name"] for row in rows]

    async def write(self, count: int, machine_id: UUID | None = None) -> None:
        """Add facts, one unit of work each ten."""
        for start in range(0, count, 10):
            await self.append(*(a_fact(machine_id) for _ in range(min(10, count - start))))

    async def append(self, *facts: FactBody) -> None:
        await self.database.unit("test.append", lambda tx: self.outbox.append(tx, *facts))

    async def lines(self) -> list[bytes]:
        """The facts that still wait."""
        rows = await self.database.read(lambda tx: tx.all("SELECT line FROM outbox ORDER BY epoch, seq"))
        return [row["line"] for row in rows]


def a_fact(machine_id: UUID | None = None) -> StockMoved:
    """One unit more in slot A1 of the machine; of any machine, for a cloud that does not look."""
    return StockMoved(movement_id=new_id(), machine_id=machine_id or new_id(), slot="A1", delta=1, reason=Reason.COUNT)
