"""SQL of machines, products and planograms."""

import sqlite3
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from edge.database import Transaction
from shared.catalog import MachineVersion, PlanogramVersion, ProductVersion


def put_machine(tx: Transaction, machine: MachineVersion) -> None:
    """Insert, or update to a higher version."""
    tx.run(
        "INSERT INTO machines (machine_id, version, name, rail, currency, in_service) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (machine_id) DO UPDATE SET version = excluded.version, name = excluded.name, "
        "rail = excluded.rail, currency = excluded.currency, in_service = excluded.in_service "
        "WHERE excluded.version > machines.version",
        str(machine.machine_id),
        machine.version,
        machine.name,
        machine.rail,
        machine.currency,
        machine.in_service,
    )


def put_product(tx: Transaction, product: ProductVersion) -> None:
    """Insert, or update to a higher version."""
    tx.run(
        "INSERT INTO products (product_id, version, name) VALUES (?, ?, ?) "
        "ON CONFLICT (product_id) DO UPDATE SET version = excluded.version, name = excluded.name "
        "WHERE excluded.version > products.version",
        str(product.product_id),
        product.version,
        product.name,
    )


def put_planogram(tx: Transaction, planogram: PlanogramVersion) -> None:
    """Insert; a version once known is never changed."""
    machine_id = str(planogram.machine_id)
    added = tx.run(
        "INSERT OR IGNORE INTO planograms (machine_id, version, effective_at) VALUES (?, ?, ?)",
        machine_id,
        planogram.version,
        planogram.effective_at.isoformat(),
    )
    if not added:
        return
    tx.run_many(
        "INSERT INTO planogram_slots "
        "(machine_id, version, slot, product_id, device_id, price_minor, capacity, par_level) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                machine_id,
                planogram.version,
                slot.slot,
                str(slot.product_id),
                str(slot.device_id),
                slot.price_minor,
                slot.capacity,
                slot.par_level,
            )
            for slot in planogram.slots
        ],
    )


def machine(tx: Transaction, machine_id: UUID) -> sqlite3.Row | None:
    """The machine's row."""
    return tx.one("SELECT * FROM machines WHERE machine_id = ?", str(machine_id))


def machines(tx: Transaction) -> list[sqlite3.Row]:
    """All machines by name."""
    return tx.all("SELECT * FROM machines ORDER BY name, machine_id")


def versions_from(tx: Transaction, machine_id: UUID, current: int) -> list[tuple[int, datetime]]:
    """The planogram versions from `current` on, with their effective time."""
    sql = "SELECT version, effective_at FROM planograms WHERE machine_id = ? AND version >= ?"
    rows = tx.all(sql, str(machine_id), current)
    return [(row["version"], datetime.fromisoformat(row["effective_at"])) for row in rows]


def set_planogram_version(tx: Transaction, machine_id: UUID, version: int) -> None:
    """Remember which version came into force."""
    tx.run("UPDATE machines SET planogram_version = ? WHERE machine_id = ?", version, str(machine_id))


def raise_planogram_version(tx: Transaction, machine_id: UUID, version: int) -> None:
    """Remember that this version came into force, if it is known and above the one that is."""
    tx.run(
        "UPDATE machines SET planogram_version = ?2 WHERE machine_id = ?1 AND planogram_version < ?2 "
        "AND EXISTS (SELECT 1 FROM planograms WHERE machine_id = ?1 AND version = ?2)",
        str(machine_id),
        version,
    )


def slot_devices(tx: Transaction, machine_id: UUID, version: int) -> list[sqlite3.Row]:
    """The device of each slot in any version of the planogram: first that version, then the newest."""
    sql = "SELECT slot, device_id FROM planogram_slots WHERE machine_id = ? ORDER BY version = ? DESC, version DESC"
    return tx.all(sql, str(machine_id), version)


_SLOTS = (
    "SELECT slot, s.product_id, p.name, device_id, price_minor, capacity "
    "FROM planogram_slots AS s JOIN products AS p USING (product_id) WHERE s.machine_id = ? AND s.version = ?"
)


def slots(tx: Transaction, machine_id: UUID, version: int) -> list[sqlite3.Row]:
    """The slots of a planogram version with their products' names."""
    return tx.all(f"{_SLOTS} ORDER BY slot", str(machine_id), version)


def some_slots(tx: Transaction, machine_id: UUID, version: int, codes: Collection[str]) -> list[sqlite3.Row]:
    """Those of `slots` that bear one of these codes."""
    marks = ", ".join("?" * len(codes))
    return tx.all(f"{_SLOTS} AND slot IN ({marks})", str(machine_id), version, *codes)
