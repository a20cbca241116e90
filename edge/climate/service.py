"""Use cases of zones: believe the device, tell the cloud, sell nothing from what is locked."""

from uuid import UUID

import structlog

from edge.climate import rules, store
from edge.climate.rules import Known
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
            row = store.zone(tx, topic.device_id, report.zone)
            known = Known() if row is None else Known(row["condition"] == ZoneCondition.LOCKED, row["release_id"])
            news = rules.news(known, report)
            store.put(tx, topic, report)
            if news.released:
                by_hand = news.release is not None and news.release.at_machine
                asked_by = None if news.release is None else store.asked_by(tx, news.release.release_id)
                self._released(tx, topic, report.zone, asked_by, at_machine=by_hand)
            if news.locked:
                self._locked(tx, topic, report)
            if known.locked or report.condition is ZoneCondition.LOCKED:
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
                self._released(tx, topic, row["zone"], None)
                self._inventory.lock(tx, topic.machine_id, store.locked_slots(tx, topic.machine_id))

        await self._database.unit("climate.hear_zones", work)
        self._zones[topic.device_id] = names

    def release(self, tx: Transaction, request_id: UUID, asked_by: str) -> None:
        """A person asks for it, and the device will be asked. The fact follows when that says that it did it.

        To be called before the device is asked.
        """
        store.add_request(tx, request_id, asked_by)

    def has_no_zone(self, tx: Transaction, topic: Topic, zone: str, asked_by: str) -> None:
        """The device that was asked knows of no such zone (any more): nothing else would ever release it."""
        before = store.zone(tx, topic.device_id, zone)
        if before is not None:
            store.drop(tx, topic.device_id, zone)
            if before["condition"] == ZoneCondition.LOCKED:
                self._released(tx, topic, zone, asked_by)
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

    def _released(
        self, tx: Transaction, topic: Topic, zone: str, asked_by: str | None, *, at_machine: bool = False
    ) -> None:
        who = {"released_by": asked_by, "at_machine": at_machine}
        log.info("zone_released", device_id=str(topic.device_id), zone=zone, **who)
        fact = ZoneReleased(
            device_id=topic.device_id,
            machine_id=topic.machine_id,
            zone=zone,
            released_by=asked_by,
            at_machine=at_machine,
        )
        self._outbox.append(tx, fact)
