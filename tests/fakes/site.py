"""A gateway without sockets: every real part from the ledger to the orders, one machine, one fake device."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from edge.access import Identity, IdentityKind
from edge.catalog.service import CatalogService
from edge.climate.service import ClimateService
from edge.climate.sweep import ClimateSweep
from edge.clock import Clock, new_id
from edge.database import Database
from edge.devices.service import DeviceService
from edge.dispensing.conductor import OPEN_VENDS_KEY, Conductor
from edge.dispensing.service import DispenseService
from edge.failpoints import Failpoints
from edge.inventory.service import InventoryService
from edge.links import LINKS_KEY, Links
from edge.mqtt import Inbox, LocalMqtt, Message
from edge.mqtt_routes import MqttRoutes
from edge.orders.recall import OrderRecall
from edge.orders.service import OrderService, order_key
from edge.orders.sweep import OrderSweep
from edge.outbox import Outbox, TelemetryBuffer
from edge.parcels.service import ParcelService
from edge.payments.service import PaymentService
from edge.payments.sweep import CashSweep
from edge.recall.service import RecallService
from edge.releases.rules import keys_by_id
from edge.releases.service import ReleaseService
from edge.releases.sweep import ReleaseSweep
from edge.shelf import Shelf
from edge.upkeep.service import UpkeepService
from edge.upkeep.sweep import UpkeepSweep
from edge.watch import Watch
from shared.catalog import MachineVersion, PlanogramSlot, PlanogramVersion, ProductVersion
from shared.contract import Rail
from shared.devices import ExpectedDevice
from shared.inventory import Reason, StockInstruction
from shared.orders import ChosenLine, OrderState, OrderView, PlaceOrder
from shared.sync import FACT, Fact
from shared.topics import Channel, Topic
from tests.fakes import release_key
from tests.fakes.device import FakeDevice
from tests.fakes.interruptions import Interruptions
from tests.fakes.until import until

SLOTS = frozenset({"A1", "A2", "A3"})
PRICE_MINOR = 2000


class SteppedClock(Clock):
    """A clock that also moves when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        """Real time plus all steps."""
        return super().monotonic() + self._ahead_s

    def step(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._ahead_s += seconds


class Site:
    """All services over one ledger; `device` is what the LAN would be, `sent` what the gateway has published on it.

    What it says of money again and again stands in `money_words` instead.
    `interruptions` happen within the ledger's units.
    """

    def __init__(
        self, database: Database, watch: Watch, clock: SteppedClock, interruptions: Interruptions | None = None
    ) -> None:
        self.database, self.watch, self.clock = database, watch, clock
        self.interruptions = interruptions or Interruptions()
        self.machine_id, self.device_id = new_id(), new_id()
        self.sent: list[tuple[str, bytes]] = []
        self.money_words: list[tuple[str, bytes]] = []
        failpoints = Failpoints()
        self.outbox = Outbox(clock)
        mqtt = LocalMqtt(self._to_device, Inbox(clock.monotonic))
        self.links = Links(mqtt, clock, watch)
        self.catalog = CatalogService(clock, self.outbox)
        self.inventory = InventoryService(database, self.outbox)
        self.climate = ClimateService(database, self.inventory, self.outbox)
        self.devices = DeviceService(database, self.links, self.outbox, TelemetryBuffer(), clock, watch)
        self.climate_sweep = ClimateSweep(database, self.climate, self.catalog, self.devices, sweep_s=0.05)
        self.conductor = Conductor(database, self.links, clock, watch, failpoints)
        self.dispenses = DispenseService(database, self.devices, self.links, self.conductor, clock, watch, failpoints)
        self.payments = PaymentService(database, self.catalog, self.outbox, self.links, failpoints)
        self.orders = OrderService(
            database,
            self.catalog,
            self.inventory,
            self.devices,
            self.dispenses,
            self.payments,
            self.outbox,
            clock,
        )
        parts = (self.orders, self.devices, self.dispenses, self.payments)
        self.order_sweep = OrderSweep(database, *parts, clock, watch)
        self.cash_sweep = CashSweep(database, self.catalog, self.inventory, self.links, watch)
        self.order_recall = OrderRecall(self.orders, self.catalog, self.devices, self.payments)
        self.recall = RecallService(database, self.outbox, self.catalog, self.order_recall)
        self.shelf = Shelf(database.folder / "parcels")
        self.parcels = ParcelService(database, self.links, self.shelf, watch)
        self.upkeep = UpkeepService(database, self.devices, self.climate, self.parcels, self.outbox, clock)
        self.upkeep_sweep = UpkeepSweep(
            database, self.upkeep, self.orders, self.parcels, self.links, clock, watch, repeat_s=0.05
        )
        keys = keys_by_id([release_key.PUBLIC])
        self.releases = ReleaseService(database, self.parcels, self.shelf, self.outbox, clock, keys)
        offering = (self.releases, self.orders, self.dispenses, self.payments, self.parcels)
        self.release_sweep = ReleaseSweep(database, *offering, self.links, clock, watch, sweep_s=0.05)
        services = (self.devices, self.dispenses, self.inventory, self.payments, self.orders)
        heard_by = (*services, self.parcels, self.upkeep, self.releases, self.climate)
        self.routes = MqttRoutes(mqtt, *heard_by, self.links)
        self.device = FakeDevice(self.machine_id, self.device_id, self._from_device, SLOTS)
        self._messages: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._commands: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    @property
    def identity(self) -> Identity:
        """Who the device is, once logged in."""
        return Identity(IdentityKind.DEVICE, self.machine_id, self.device_id)

    def adopt(self, device: FakeDevice) -> None:
        """Take over a device that another gateway process knew, with its journal."""
        self.machine_id, self.device_id, self.device = device.machine_id, device.device_id, device
        device.send = self._from_device

    async def configure(self, rail: Rail, opening: int = 10) -> None:
        """Take the site's configuration from the cloud."""
        product_id = new_id()
        slots = tuple(
            PlanogramSlot(
                slot=slot,
                product_id=product_id,
                device_id=self.device_id,
                price_minor=PRICE_MINOR,
                capacity=12,
                par_level=6,
            )
            for slot in sorted(SLOTS)
        )
        machine = MachineVersion(
            machine_id=self.machine_id, version=1, name="Snacks", rail=rail, currency="INR", in_service=True
        )
        planogram = PlanogramVersion(
            machine_id=self.machine_id, version=1, effective_at=datetime(2026, 1, 1, tzinfo=UTC), slots=slots
        )
        expected = ExpectedDevice(
            device_id=self.device_id,
            machine_id=self.machine_id,
            name="left cabinet",
            claim_code_sha256="0" * 64,
            claim_expires_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        await self.database.unit("test.machine", lambda tx: self.catalog.apply_machine(tx, machine))
        product = ProductVersion(product_id=product_id, version=1, name="Salted peanuts")
        await self.database.unit("test.product", lambda tx: self.catalog.apply_product(tx, product))
        await self.database.unit("test.planogram", lambda tx: self.catalog.apply_planogram(tx, planogram))
        await self.database.unit("test.device", lambda tx: self.devices.apply_expected(tx, expected))
        for slot in sorted(SLOTS):
            await self.move_stock(slot, opening, Reason.OPENING)
        sql = "UPDATE devices SET command_key = ?"
        await self.database.unit("test.key", lambda tx: tx.run(sql, self.device.key))

    async def move_stock(self, slot: str, delta: int, reason: Reason) -> None:
        """Carry out a stock instruction of the cloud."""
        change = StockInstruction(
            movement_id=new_id(), machine_id=self.machine_id, slot=slot, delta=delta, reason=reason
        )
        await self.database.unit("test.stock", lambda tx: self.inventory.apply_instruction(tx, change))

    async def connect(self) -> None:
        """Let the device log in and say hello."""
        self.log_in()
        await self.device.hello()

    def log_in(self) -> None:
        """Let the device log in; its hello is still to come."""
        self.links.connected(self.identity, lambda reason: self.links.disconnected(self.identity, reason))

    def disconnect(self) -> None:
        """Cut the device's link."""
        self.links.disconnected(self.identity, "cut")

    async def order(self, *slots: str, key: UUID | None = None) -> OrderView:
        """Order one unit of each slot."""
        lines = tuple(ChosenLine(slot=slot, quantity=1) for slot in slots)
        wish = PlaceOrder(machine_id=self.machine_id, planogram_version=1, lines=lines)
        view, _ = await self.orders.place(key or uuid4(), wish)
        return view

    async def until(self, order_id: UUID, reached: Callable[[OrderView], bool], seconds: float = 5) -> OrderView:
        """Wait until the order looks as wanted."""
        keys = [order_key(order_id), OPEN_VENDS_KEY, LINKS_KEY]
        with self.watch.on(*keys) as changed:
            async with asyncio.timeout(seconds):
                while True:
                    changed.clear()
                    view = await self.orders.view(order_id)
                    if reached(view):
                        return view
                    await changed.wait()

    async def until_state(self, order_id: UUID, state: OrderState) -> OrderView:
        """Wait until the order is in this state."""
        return await self.until(order_id, lambda view: view.state is state)

    async def stock(self, slot: str) -> int:
        """Units on hand."""
        levels = await self.database.read(lambda tx: self.inventory.levels(tx, self.machine_id))
        return levels[slot].on_hand

    async def credit(self) -> int:
        """Cash credit in minor units."""
        return await self.database.read(lambda tx: self.payments.credit(tx, self.machine_id))

    async def facts(self) -> list[Fact]:
        """All facts in the outbox, in order."""
        rows = await self.database.read(lambda tx: tx.all("SELECT line FROM outbox ORDER BY epoch, seq"))
        return [FACT.validate_json(row["line"]) for row in rows]

    async def settle(self) -> None:
        """Let everything that is under way come to rest."""
        for _ in range(20):
            await asyncio.sleep(0.005)

    async def run(self) -> None:
        """The gateway's tasks of these parts."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._carry(), name="carry")
            tasks.create_task(self._command(), name="command")
            tasks.create_task(self.catalog.run(self.database), name="catalog")
            tasks.create_task(self.climate_sweep.run(), name="climate")
            tasks.create_task(self.devices.run(), name="devices")
            tasks.create_task(self.conductor.run(self.orders), name="dispenses")
            tasks.create_task(self.order_sweep.run(), name="orders")
            tasks.create_task(self.cash_sweep.run(), name="cash")
            tasks.create_task(self.parcels.run(), name="parcels")
            tasks.create_task(self.release_sweep.run(), name="releases")
            tasks.create_task(self.upkeep_sweep.run(), name="upkeep")

    def _to_device(self, topic: str, payload: bytes) -> None:
        is_of_money = json.loads(payload).get("type") in ("accept_money", "refuse_money")
        (self.money_words if is_of_money else self.sent).append((topic, payload))
        if topic == str(Topic(self.machine_id, self.device_id, Channel.COMMAND)):
            self._commands.put_nowait((topic, payload))

    async def _command(self) -> None:
        while True:
            await self.device.receive(*await self._commands.get())

    async def _from_device(self, topic: str, payload: bytes) -> None:
        self._messages.put_nowait((topic, payload))

    async def _carry(self) -> None:
        while True:
            topic, payload = await self._messages.get()
            await self.routes.handle(Message(topic, payload, self.clock.monotonic()))


@asynccontextmanager
async def running_site(
    folder: Path, rail: Rail = Rail.FREE, opening: int = 10, clock: SteppedClock | None = None
) -> AsyncIterator[Site]:
    """A configured site with its device connected, its tasks running."""
    watch = Watch()
    interruptions = Interruptions()
    database = Database(folder, watch, interruptions)
    await database.open()
    site = Site(database, watch, clock or SteppedClock(), interruptions)
    await site.configure(rail, opening)
    task = asyncio.create_task(site.run(), name="site")
    try:
        await site.connect()
        await until(lambda: site.links.online(site.device_id))
        yield site
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.close()
