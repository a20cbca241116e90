"""Use cases of zones: believe the device, tell the cloud, sell nothing from what is locked."""

from uuid import UUID

import structlog

from edge.climate import rules, store
from edge.climate.rules import Known
from edge.database import Database, Transaction
from edge.inventory.service import InventoryService
from edge.outbox import Outbox
from shared.climate import Release, ZoneCondition, ZoneLocked, ZoneReleased, ZoneReport
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
                asked_by = None if news.release is None else store.asked_by(tx, news.release.release_id)
                self._released(tx, topic.machine_id, topic.device_id, report.zone, asked_by, news.release)
            if news.locked:
                self._locked(tx, topic, report)
            if known.locked or report.condition is ZoneCondition.LOCKED:
                self._inventory.lock(tx, topic.machine_id, store.locked_slots(tx, topic.machine_id))

        await self._database.unit("climate.report", work)

    async def hear_zones(self, topic: Topic, heartbeat: Heartbeat) -> None:
        """Let go of zones that the device has no thermometer for any more: nothing would ever release them.

        One that says nothing of thermometers lets go of none.
        """
        names = frozenset(heartbeat.centi_celsius)
        if "centi_celsius" not in heartbeat.model_fields_set or self._zones.get(topic.device_id) == names:
            return

        def work(tx: Transaction) -> None:
            self._unlock_others(tx, topic.machine_id, topic.device_id, names)

        await self._database.unit("climate.hear_zones", work)
        self._zones[topic.device_id] = names

    def locked(self, tx: Transaction) -> list[tuple[UUID, UUID]]:
        """(machine, device) of each device with a zone that is locked."""
        return [(UUID(row["machine_id"]), UUID(row["device_id"])) for row in store.locked_devices(tx)]

    def forget(self, tx: Transaction, machine_id: UUID, device_id: UUID) -> None:
        """The device is there no more: none of its zones is watched by anybody."""
        self._unlock_others(tx, machine_id, device_id, frozenset())
        self._zones.pop(device_id, None)

    def release(self, tx: Transaction, request_id: UUID, asked_by: str) -> None:
        """A person asks for it, and the device will be asked. The fact follows when that says that it did it.

        To be called before the device is asked.
        """
        store.add_request(tx, request_id, asked_by)

    def has_no_zone(self, tx: Transaction, topic: Topic, zone: str, asked_by: str) -> None:
        """The device that was asked knows of no such zone (any more): nothing else would ever release it."""
        before = store.zone(tx, topic.device_id, zone)
        if before is not None and before["condition"] == ZoneCondition.LOCKED:
            self._unlock(tx, topic.machine_id, topic.device_id, zone, asked_by)

    def _unlock_others(self, tx: Transaction, machine_id: UUID, device_id: UUID, names: frozenset[str]) -> None:
        for zone in store.locked_others(tx, device_id, names):
            self._unlock(tx, machine_id, device_id, zone, None)

    def _unlock(self, tx: Transaction, machine_id: UUID, device_id: UUID, zone: str, asked_by: str | None) -> None:
        store.unlock(tx, device_id, zone)
        self._released(tx, machine_id, device_id, zone, asked_by)
        self._inventory.lock(tx, machine_id, store.locked_slots(tx, machine_id))

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
        self,
        tx: Transaction,
        machine_id: UUID,
        device_id: UUID,
        zone: str,
        asked_by: str | None,
        release: Release | None = None,
    ) -> None:
        at_machine = release is not None and release.at_machine
        log.info("zone_released", device_id=str(device_id), zone=zone, released_by=asked_by, at_machine=at_machine)
        fact = ZoneReleased(
            device_id=device_id,
            machine_id=machine_id,
            zone=zone,
            released_by=asked_by,
            at_machine=at_machine,
            release_id=None if release is None else release.release_id,
        )
        self._outbox.append(tx, fact)
