"""SQL of stock and its movements."""

import sqlite3
from uuid import UUID

from edge.database import Transaction
from shared.inventory import StockMoved


def levels(tx: Transaction, machine_id: UUID) -> list[sqlite3.Row]:
    """Every slot of the machine that ever had stock."""
    return tx.all("SELECT * FROM stock WHERE machine_id = ? ORDER BY slot", str(machine_id))


def level(tx: Transaction, machine_id: UUID, slot: str) -> sqlite3.Row | None:
    """One slot."""
    return tx.one("SELECT * FROM stock WHERE machine_id = ? AND slot = ?", str(machine_id), slot)


def add_movement(tx: Transaction, moved: StockMoved) -> bool:
    """Write a movement and move the stock; false, and no effect, if its id or its vend is known."""
    vend_id = str(moved.vend_id) if moved.vend_id else None
    added = tx.run(
        "INSERT INTO stock_movements (movement_id, machine_id, slot, delta, reason, vend_id) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        str(moved.movement_id),
        str(moved.machine_id),
        moved.slot,
        moved.delta,
        moved.reason,
        vend_id,
    )
    if added:
        tx.run(
            "INSERT INTO stock (machine_id, slot, on_hand) VALUES (?1, ?2, ?3) "
            "ON CONFLICT (machine_id, slot) DO UPDATE SET on_hand = on_hand + ?3",
            str(moved.machine_id),
            moved.slot,
            moved.delta,
        )
    return bool(added)


def add_slot(tx: Transaction, machine_id: UUID, slot: str) -> None:
    """Make sure that the slot has a row."""
    tx.run("INSERT OR IGNORE INTO stock (machine_id, slot) VALUES (?, ?)", str(machine_id), slot)


def reserve(tx: Transaction, machine_id: UUID, slot: str, quantity: int) -> None:
    """Change the reservation by `quantity`, which may be negative."""
    sql = "UPDATE stock SET reserved = reserved + ? WHERE machine_id = ? AND slot = ?"
    tx.run(sql, quantity, str(machine_id), slot)


def set_suspect(tx: Transaction, machine_id: UUID, slot: str, *, suspect: bool) -> bool:
    """Whether that was news."""
    sql = "UPDATE stock SET suspect = ?3 WHERE machine_id = ?1 AND slot = ?2 AND suspect != ?3"
    return tx.run(sql, str(machine_id), slot, suspect) > 0


def set_sensed_empty(tx: Transaction, machine_id: UUID, slot: str, *, empty: bool) -> bool:
    """Whether that was news. It is so too of a slot that has yet to get its stock."""
    if empty:
        add_slot(tx, machine_id, slot)
    sql = "UPDATE stock SET sensed_empty = ?3 WHERE machine_id = ?1 AND slot = ?2 AND sensed_empty != ?3"
    return tx.run(sql, str(machine_id), slot, empty) > 0


def set_locked(tx: Transaction, machine_id: UUID, slots: frozenset[str]) -> None:
    """Lock these slots, also those that have yet to get their stock, and no others."""
    for slot in slots:
        add_slot(tx, machine_id, slot)
    marks = ", ".join("?" * len(slots))
    tx.run(f"UPDATE stock SET locked = slot IN ({marks}) WHERE machine_id = ?", *sorted(slots), str(machine_id))  # noqa: S608 - marks only
