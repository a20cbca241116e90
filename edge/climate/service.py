"""Use cases of zones: believe the device, tell the cloud, sell nothing from what is locked."""

from uuid import UUID

import structlog

from edge.climate import store
from edge.database import Database, Transaction
from edge.inventory.service import InventoryService
from edge.outbox import Outbox
from shared.climate import ZoneCondition, ZoneLocked, ZoneReleased, ZoneReport
from shared.devices import Heartbeat
from shared.topics import Topic

log = structlog.get_logger()


class ClimateService:
    """The device judges, gateway or not; here its word is kept, over restarts too, until it says otherwise."""

    def __init__(self, database: Database, inventory: InventoryService, outbox: Outbox) -> None:
        self._database = database
        self._inventory = inventory
        self._outbox = outbox
        self._zones: dict[UUID, frozenset[str]] = {}
        """Of each device, as its last heartbeat named them."""

    async def report(self, topic: Topic, report: ZoneReport) -> None:
        """Take what a device says of a zone. That it locked, or was released, is told once."""

        def work(tx: Transaction) -> None:
            before = store.zone(tx, topic.device_id, report.zone)
            was_locked = before is not None and before["condition"] == ZoneCondition.LOCKED
            is_locked = report.condition is ZoneCondition.LOCKED
            store.put(tx, topic, report)
            if is_locked and not was_locked:
                self._locked(tx, topic, report)
            elif before is not None and was_locked and not is_locked:
                self._released(tx, topic, report.zone, before["asked_by"])
            if is_locked or was_locked:
                self._inventory.lock(tx, topic.machine_id, store.locked_slots(tx, topic.machine_id))

        await self._database.unit("climate.report", work)

    async def hear_zones(self, topic: Topic, heartbeat: Heartbeat) -> None:
        """Forget zones that the device has no thermometer for any more: nothing would ever release them.

        One that says nothing of thermometers forgets none.
        """
        names = frozenset(heartbeat.centi_celsius)
        if "centi_celsius" not in heartbeat.model_fields_set or self._zones.get(topic.device_id) == names:
            return

        def work(tx: Transaction) -> None:
            for row in store.drop_others(tx, topic.device_id, names):
                self._released(tx, topic, row["zone"], row["asked_by"])
                self._inventory.lock(tx, topic.machine_id, store.locked_slots(tx, topic.machine_id))

        await self._database.unit("climate.hear_zones", work)
        self._zones[topic.device_id] = names

    def release(self, tx: Transaction, device_id: UUID, zone: str, asked_by: str) -> None:
        """A person has asked for it, and the device will be. The fact follows when the device says that it is released.

        To be called before the device is asked.
        """
        store.set_asked_by(tx, device_id, zone, asked_by)

    def has_no_zone(self, tx: Transaction, topic: Topic, zone: str) -> None:
        """The device knows of no such zone (any more): nothing else would ever release it."""
        before = store.zone(tx, topic.device_id, zone)
        if before is not None:
            store.drop(tx, topic.device_id, zone)
            if before["condition"] == ZoneCondition.LOCKED:
                self._released(tx, topic, zone, before["asked_by"])
                self._inventory.lock(tx, topic.machine_id, store.locked_slots(tx, topic.machine_id))

    def _locked(self, tx: Transaction, topic: Topic, report: ZoneReport) -> None:
        log.error("zone_locked", device_id=str(topic.device_id), zone=report.zone, centi_celsius=report.centi_celsius)
        fact = ZoneLocked(
            device_id=topic.device_id,
            machine_id=topic.machine_id,
            zone=report.zone,
            slots=report.slots,
            centi_celsius=report.centi_celsius,
        )
        self._outbox.append(tx, fact)

    def _released(self, tx: Transaction, topic: Topic, zone: str, asked_by: str | None) -> None:
        log.info("zone_released", device_id=str(topic.device_id), zone=zone, released_by=asked_by)
        fact = ZoneReleased(device_id=topic.device_id, machine_id=topic.machine_id, zone=zone, released_by=asked_by)
        self._outbox.append(tx, fact)
