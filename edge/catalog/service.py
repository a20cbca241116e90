"""Use cases of the catalogue: take versions from the cloud, say what is on offer now."""

import asyncio
import sqlite3
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from edge.catalog import rules, store
from edge.catalog.rules import Machine, Offer, OfferedSlot
from edge.clock import Clock
from edge.database import Database, Transaction
from edge.errors import Refused
from edge.outbox import Outbox
from shared.catalog import MachineStopped, MachineVersion, PlanogramVersion, ProductVersion
from shared.contract import ClockQuality, Rail
from shared.errors import Code

LOOK_S = 1.0
"""So soon is a version that has come into force there to stay."""

MACHINES_KEY = "machines"
"""Touched when a machine itself has changed: its rail, or whether it is in service (watch.py)."""


def machine_key(machine_id: UUID) -> str:
    """Touched when anything a kiosk shows of this machine has changed (watch.py)."""
    return f"machine:{machine_id}"


class CatalogService:
    """Everything but `run` works inside a transaction of the caller."""

    def __init__(self, clock: Clock, outbox: Outbox) -> None:
        self._clock = clock
        self._outbox = outbox

    def apply_machine(self, tx: Transaction, change: MachineVersion) -> None:
        """Take a machine's version unless a newer one is known. The cloud is told when nothing is sold by it.

        It is told again when the change comes again: then one of the two sides may have lost what it knew.
        """
        store.put_machine(tx, change)
        known = store.machine(tx, change.machine_id)
        if known is not None and not known["in_service"]:
            self._outbox.append(tx, MachineStopped(machine_id=change.machine_id, version=known["version"]))
        tx.touch(MACHINES_KEY, machine_key(change.machine_id))

    def apply_product(self, tx: Transaction, change: ProductVersion) -> None:
        """Take a product's version unless a newer one is known."""
        store.put_product(tx, change)
        for row in store.machines(tx):
            tx.touch(machine_key(UUID(row["machine_id"])))

    def apply_planogram(self, tx: Transaction, change: PlanogramVersion) -> None:
        """Take a planogram version; it comes into force at its time."""
        store.put_planogram(tx, change)
        if rules.newest_due([(change.version, change.effective_at)], self._believed_now()):
            store.raise_planogram_version(tx, change.machine_id, change.version)
        tx.touch(machine_key(change.machine_id))

    async def run(self, database: Database) -> None:
        """Note each version that comes into force, bought by or not, so that no clock can take its prices back."""
        while True:
            if await database.read(self._newly_due):
                await database.unit("catalog.bring_into_force", self._bring_into_force)
            await asyncio.sleep(LOOK_S)

    def machines(self, tx: Transaction) -> list[Machine]:
        """All machines of the site."""
        return [_machine(row) for row in store.machines(tx)]

    def currency(self, tx: Transaction, machine_id: UUID) -> str | None:
        """What the machine takes (ISO 4217); None if the machine is not known."""
        row = store.machine(tx, machine_id)
        return None if row is None else str(row["currency"])

    def offer(self, tx: Transaction, machine_id: UUID, codes: Collection[str] | None = None) -> Offer:
        """What the machine sells at this moment, of all its slots or of some. Raises Refused (unknown_machine)."""
        row = store.machine(tx, machine_id)
        if row is None:
            raise Refused(Code.UNKNOWN_MACHINE, "This machine is not known here.")
        current = row["planogram_version"]
        versions = store.versions_from(tx, machine_id, current)
        version = rules.version_in_force(versions, current, self._believed_now())
        machine = _machine(row)
        if codes is None:
            rows = store.slots(tx, machine_id, version)
        else:
            rows = store.some_slots(tx, machine_id, version, codes)
        slots = {
            slot["slot"]: OfferedSlot(
                slot["slot"],
                UUID(slot["product_id"]),
                slot["name"],
                UUID(slot["device_id"]),
                rules.price_on(machine.rail, slot["price_minor"]),
            )
            for slot in rows
        }
        return Offer(machine, version, version == current, slots)

    def devices_of(self, tx: Transaction, machine_id: UUID, version: int) -> dict[str, UUID]:
        """Which device turns which slot by this planogram version, or by the newest one that has the slot."""
        return {row["slot"]: UUID(row["device_id"]) for row in reversed(store.slot_devices(tx, machine_id, version))}

    def recall_version(self, tx: Transaction, machine_id: UUID, version: int) -> None:
        """Customers have bought by this version before the ledger was restored; if it is known, it is in force."""
        store.raise_planogram_version(tx, machine_id, version)

    def pin_version(self, tx: Transaction, offer: Offer) -> None:
        """Note that customers have bought by this version, so that no clock can take its prices back."""
        if not offer.noted:
            store.set_planogram_version(tx, offer.machine.machine_id, offer.version)

    def _newly_due(self, tx: Transaction) -> list[tuple[UUID, int]]:
        """(machine id, version) of what has come into force since it was last noted."""
        found = []
        for row in store.machines(tx):
            machine_id, current = UUID(row["machine_id"]), row["planogram_version"]
            due = rules.newest_due(store.versions_from(tx, machine_id, current), self._believed_now())
            if due > current:
                found.append((machine_id, due))
        return found

    def _bring_into_force(self, tx: Transaction) -> None:
        for machine_id, version in self._newly_due(tx):
            store.raise_planogram_version(tx, machine_id, version)
            tx.touch(machine_key(machine_id))

    def _believed_now(self) -> datetime | None:
        return self._clock.now() if self._clock.quality is ClockQuality.SYNCED else None


def _machine(row: sqlite3.Row) -> Machine:
    return Machine(UUID(row["machine_id"]), row["name"], Rail(row["rail"]), row["currency"], bool(row["in_service"]))
