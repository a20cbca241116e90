"""The composition root: builds every part, in start order, and runs them until the program is told to stop."""

import asyncio
import os
import socket
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from edge import site_bundle
from edge.backup import Backup
from edge.broker import EmbeddedBroker
from edge.catalog.service import CatalogService
from edge.climate.service import ClimateService
from edge.climate.sweep import ClimateSweep
from edge.clock import Clock
from edge.database import Database, Transaction
from edge.devices.service import DeviceService
from edge.devices.sweep import TimeSweep
from edge.discovery import Discovery, DiscoveryHealth
from edge.dispensing.conductor import Conductor
from edge.dispensing.service import DispenseService
from edge.errors import SettingsError, StorageFull
from edge.failpoints import Failpoints
from edge.guard import Guard
from edge.identity import GatewayIdentity
from edge.inventory.service import InventoryService
from edge.kiosk.health import Health
from edge.kiosk.routes import create_app
from edge.kiosk.server import bind, serve
from edge.kiosk.streams import Streams
from edge.kiosk.views import KioskViews
from edge.links import Links
from edge.mqtt import Inbox, LocalMqtt
from edge.mqtt_routes import MqttRoutes
from edge.orders.recall import OrderRecall
from edge.orders.service import OrderService
from edge.orders.sweep import OrderSweep
from edge.outbox import Outbox, TelemetryBuffer
from edge.parcels.service import ParcelService
from edge.payments.service import PaymentService
from edge.payments.sweep import CashSweep
from edge.recall.service import RecallService
from edge.releases.rules import keys_by_id
from edge.releases.service import ReleaseService
from edge.releases.sweep import ReleaseSweep
from edge.settings import PREFIX, Settings
from edge.shelf import Shelf
from edge.site_ca import SiteCa
from edge.sync.agent import SyncAgent
from edge.sync.cloud_client import CloudClient
from edge.sync.doorbell import Doorbell
from edge.sync.files import Files
from edge.sync.pull import Apply, Pull, forget_cursor
from edge.sync.push import Push
from edge.sync.recall import Recall
from edge.sync.trust import CloudTrust
from edge.upkeep.service import UpkeepService
from edge.upkeep.sweep import UpkeepSweep
from edge.watch import Watch

Work = Callable[[], Coroutine[Any, Any, None]]

ROOM_RETRY_S = 1.0
APART_RETRY_S = 30.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the gateway can be reached."""

    kiosk_url: str
    mqtt_port: int


class Gateway:
    """All parts of one gateway, built and not yet started. Raises SettingsError, SiteCaError."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        _prepare(settings.state_dir)
        self.watch, self.failpoints = Watch(), Failpoints(settings.failpoint)
        self.identity = GatewayIdentity(settings.state_dir, clock)
        self.bundle = site_bundle.at_start(settings, self.identity.claim)
        self.settings = settings if self.bundle is None else site_bundle.with_bundle(settings, self.bundle)
        self.site_ca = SiteCa.open(settings.state_dir / "site-ca")
        self.database = Database(settings.state_dir, self.watch, self.failpoints)
        self.backup = Backup(self.database, clock, settings.backup_s)
        self.outbox, self.telemetry = Outbox(clock), TelemetryBuffer()
        self._build_mqtt()
        self._build_features()
        self._build_guard()
        self._build_sync()
        self._build_kiosk()
        self.discovery: Discovery | None = None

    def _build_mqtt(self) -> None:
        inbox = Inbox(self.clock.monotonic)
        self.broker = EmbeddedBroker(inbox.put)
        self.mqtt = LocalMqtt(self.broker.publish, inbox)
        self.links = Links(self.mqtt, self.clock, self.watch)

    def _build_features(self) -> None:
        database, outbox, links, clock, watch = self.database, self.outbox, self.links, self.clock, self.watch
        self.catalog = CatalogService(clock, outbox)
        self.inventory = InventoryService(database, outbox)
        self.climate = ClimateService(database, self.inventory, outbox)
        self.devices = DeviceService(database, links, outbox, self.telemetry, clock, watch)
        self.climate_sweep = ClimateSweep(database, self.climate, self.catalog, self.devices)
        self.time_sweep = TimeSweep(links, clock, watch)
        self.conductor = Conductor(database, links, clock, watch, self.failpoints)
        self.dispenses = DispenseService(database, self.devices, links, self.conductor, clock, watch, self.failpoints)
        self.payments = PaymentService(database, self.catalog, outbox, links, self.failpoints)
        features = (self.catalog, self.inventory, self.devices, self.dispenses, self.payments)
        self.orders = OrderService(database, *features, outbox, clock)
        settling = (self.orders, self.devices, self.dispenses, self.payments)
        self.order_sweep = OrderSweep(database, *settling, clock, watch)
        self.cash_sweep = CashSweep(database, self.catalog, self.inventory, links, watch)
        self.order_recall = OrderRecall(self.orders, self.catalog, self.devices, self.payments)
        self.shelf = Shelf(self.settings.state_dir / "parcels")
        self.parcels = ParcelService(database, links, self.shelf, watch)
        self.upkeep = UpkeepService(database, self.devices, self.climate, self.parcels, outbox, clock)
        self.upkeep_sweep = UpkeepSweep(database, self.upkeep, self.orders, self.parcels, links, clock, watch)
        keys = keys_by_id(self.settings.release_keys)
        self.releases = ReleaseService(database, self.parcels, self.shelf, outbox, clock, keys)
        offering = (self.releases, self.orders, self.dispenses, self.payments, self.parcels)
        self.release_sweep = ReleaseSweep(database, *offering, links, clock, watch)
        heard_by = (self.devices, self.dispenses, self.inventory, self.payments, self.orders, self.parcels)
        self.routes = MqttRoutes(self.mqtt, *heard_by, self.upkeep, self.releases, self.climate, self.links)

    def _build_guard(self) -> None:
        self.guard = Guard(
            self.site_ca.server_context(self.clock.now()),
            self.devices,
            self.broker.open_pipe,
            self.links.connected,
            self.links.disconnected,
            host=self.settings.mqtt_host,
            port=self.settings.mqtt_port,
        )

    def _build_sync(self) -> None:
        settings = self.settings
        trust = CloudTrust(self.clock)
        self.client = CloudClient(settings.cloud_url, self.identity, self.clock, settings.cloud_timeout_s, trust)
        features: dict[str, Apply] = {
            "machine": self.catalog.apply_machine,
            "product": self.catalog.apply_product,
            "planogram": self.catalog.apply_planogram,
            "expected_device": self.devices.apply_expected,
            "stock_instruction": self.inventory.apply_instruction,
            "device_instruction": self.upkeep.apply_instruction,
            "settings_assigned": self.upkeep.apply_settings,
            "firmware_assigned": self.releases.apply_assigned,
        }
        self.pull = pull = Pull(self.database, self.client, self.clock, self.failpoints, features)
        recalled = RecallService(self.database, self.outbox, self.catalog, self.order_recall)
        self.sync = SyncAgent(
            settings=settings,
            identity=self.identity,
            client=self.client,
            push=Push(self.database, self.outbox, self.telemetry, self.client, self.failpoints, self._part),
            pull=pull,
            files=Files(self.client, self.shelf, self.releases, self.watch),
            recall=Recall(self.database, self.client, pull, recalled, self.failpoints),
            doorbell=Doorbell(settings.cloud_url, self.identity, trust),
            watch=self.watch,
            clock=self.clock,
            failpoints=self.failpoints,
            software=software_version(),
            ca_pem=self.site_ca.certificate_pem,
            place=None if self.bundle is None else self.bundle.place.gateway_id,
        )

    def _build_kiosk(self) -> None:
        self.views = KioskViews(self.database, self.catalog, self.inventory, self.devices, self.payments)
        self.streams = Streams(self.watch)
        self.health = Health(
            self.database,
            self.outbox,
            self.identity,
            self.clock,
            self.views,
            self.orders,
            self.sync.status,
            lambda: self._broker_running,
            self._discovery_health,
        )
        hosts = (self.settings.kiosk_host, *self.settings.kiosk_allowed_hosts)
        self.kiosk = create_app(self.views, self.orders, self.streams, self.health, hosts)
        self._broker_running = False

    async def run(
        self,
        stop: asyncio.Event,
        on_ready: Callable[[Addresses], None] = lambda _: None,
        on_stopping: Callable[[], None] = lambda: None,
    ) -> None:
        """Start everything, call `on_ready`, and run until `stop` is set or a part dies; then stop everything.

        `on_stopping` is called when that begins: after a part has died, the others may never come to an end.
        Raises SettingsError, DatabaseError, or an ExceptionGroup with what a part died of.
        """
        async with AsyncExitStack() as stack:
            listener = self._listen()
            stack.callback(listener.close)
            stack.push_async_callback(self.client.close)
            stack.push_async_callback(self.database.close)
            await self._begin_epoch(await self.database.open())
            await self.broker.start()
            stack.push_async_callback(self.broker.stop)
            await self._start_guard()
            stack.push_async_callback(self.guard.stop)
            self._broker_running = True
            async with asyncio.TaskGroup() as group:
                stop_kiosk = asyncio.Event()
                kiosk = group.create_task(serve(self.kiosk, listener, stop_kiosk), name="kiosk")
                tasks = [group.create_task(work(), name=name) for name, work in self._work().items()]
                for task in (kiosk, *tasks):
                    task.add_done_callback(_tell_of_death)
                addresses = Addresses(_url(listener), self.guard.port)
                log.info("ready", kiosk_url=addresses.kiosk_url, mqtt_port=addresses.mqtt_port)
                on_ready(addresses)
                try:
                    await stop.wait()
                finally:
                    on_stopping()
                self.streams.stop()
                stop_kiosk.set()
                await kiosk
                for task in tasks:
                    task.cancel()
        log.info("stopped")

    def _listen(self) -> socket.socket:
        host, port = self.settings.kiosk_host, self.settings.kiosk_port
        try:
            return bind(host, port)
        except OSError as error:
            raise SettingsError(f"{PREFIX}KIOSK_PORT: cannot listen on {host}:{port}: {error.strerror}") from error

    async def _start_guard(self) -> None:
        host, port = self.settings.mqtt_host, self.settings.mqtt_port
        try:
            await self.guard.start()
        except OSError as error:
            raise SettingsError(f"{PREFIX}MQTT_PORT: cannot listen on {host}:{port}: {error.strerror}") from error

    def _work(self) -> dict[str, Work]:
        """Every task that lives as long as the program."""
        return {
            "broker": self.broker.watch,
            "guard": self.guard.watch,
            "mqtt_routes": self.routes.run,
            "catalog": partial(_patiently, partial(self.catalog.run, self.database)),
            "devices": partial(_patiently, self.devices.run),
            "climate": partial(_patiently, self.climate_sweep.run),
            "time": self.time_sweep.run,
            "dispenses": partial(_patiently, partial(self.conductor.run, self.orders)),
            "orders": partial(_patiently, self.order_sweep.run),
            "cash": partial(_patiently, self.cash_sweep.run),
            "upkeep": partial(_patiently, self.upkeep_sweep.run),
            "releases": partial(_patiently, self.release_sweep.run),
            "parcels": partial(_patiently, self.parcels.run),
            "cloud": self._meet_cloud,
            "housekeeping": self._keep_house,
        }

    async def _meet_cloud(self) -> None:
        """Be found under the id that the bundle or the claim gives; what the bundle brings is sold before any claim."""
        async with asyncio.TaskGroup() as group:
            if self.bundle is not None:
                if self.identity.claim is None:
                    await _apart("bundle", partial(self.pull.begin_with, self.bundle.changes))
                self._be_found(group, self.bundle.place.gateway_id)
            await _apart("claim", self.sync.claim)
            claim = self.identity.claim
            if claim is None:
                raise AssertionError("claimed and yet not")
            if self.discovery is None:
                self._be_found(group, claim.gateway_id)
            group.create_task(_apart("sync", self.sync.run), name="sync")

    def _be_found(self, group: asyncio.TaskGroup, gateway_id: UUID) -> None:
        self.discovery = Discovery(gateway_id, self.guard.port, self.settings.mdns_interfaces, self.clock)
        group.create_task(_apart("discovery", self.discovery.run), name="discovery")

    async def _keep_house(self) -> None:
        """What can wait an hour: no failure of it ends the sale."""
        await asyncio.sleep(await self.backup.due_in())
        while True:
            for chore in (self.backup.make, self._renew_certificate):
                try:
                    await chore()
                except (StorageFull, OSError, sqlite3.Error) as error:
                    log.error("housekeeping_failed", chore=chore.__qualname__, error=repr(error))
            await asyncio.sleep(self.settings.backup_s)

    async def _renew_certificate(self) -> None:
        now = self.clock.now()
        if self.site_ca.needs_renewal(now):
            self.guard.use(self.site_ca.server_context(now))

    async def _begin_epoch(self, epoch: int) -> None:
        """At start: go on in the ledger's own epoch, or in a new one if it was lost or restored."""

        def work(tx: Transaction) -> int:
            if self.outbox.begin_epoch(tx, epoch):
                self.devices.begin_epoch(tx)
                self.order_recall.hold_open(tx)
                forget_cursor(tx)
            return self.outbox.position(tx).epoch

        await self.database.raise_epoch(await self.database.unit("app.begin_epoch", work))

    async def _part(self, epoch: int) -> None:
        """The cloud tells another history: what it lacks goes on in a new epoch."""

        def work(tx: Transaction) -> None:
            if self.outbox.begin_epoch(tx, epoch):
                self.outbox.move_waiting(tx)
                self.devices.begin_epoch(tx)
                forget_cursor(tx)

        await self.database.raise_epoch(epoch)
        await self.database.unit("app.part", work)

    def _discovery_health(self) -> DiscoveryHealth:
        return self.discovery.health() if self.discovery else DiscoveryHealth.none()


def _prepare(state_dir: Path) -> None:
    """The folder for all that must survive, for nobody else to read. Raises SettingsError."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(f"{PREFIX}STATE_DIR: cannot make {state_dir}: {error.strerror}") from error
    # Asked, not tried: a full disk is no reason not to start.
    if not os.access(state_dir, os.W_OK | os.X_OK):
        raise SettingsError(f"{PREFIX}STATE_DIR: {state_dir} cannot be written to")


async def _patiently(work: Work) -> None:
    """Begin again what a full disk has stopped. It keeps nothing that is not committed, so nothing is lost by it."""
    while True:
        try:
            await work()
        except StorageFull:
            await asyncio.sleep(ROOM_RETRY_S)


async def _apart(part: str, work: Work) -> None:
    """Run to its end what no sale needs: whatever it dies of is logged, and it begins again after a pause."""
    while True:
        try:
            return await work()
        except Exception:
            log.exception("part_failed", part=part, retry_s=APART_RETRY_S)
            await asyncio.sleep(APART_RETRY_S)


def _tell_of_death(part: asyncio.Task[None]) -> None:
    """At once: whether the program gets as far as its last words is not known."""
    if not part.cancelled() and (error := part.exception()) is not None:
        log.error("part_died", part=part.get_name(), error=repr(error))


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def software_version() -> str:
    """Of the installed package."""
    try:
        return version("larder")
    except PackageNotFoundError:
        return "0"
