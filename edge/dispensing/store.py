"""SQL of the commands that move metal."""

import sqlite3
from uuid import UUID

from edge.clock import Moment
from edge.database import Transaction
from shared.orders import VendOutcome


def add_dispense(
    tx: Transaction, vend_id: UUID, machine_id: UUID, device_id: UUID, slot: str, number: tuple[int, int], at: Moment
) -> sqlite3.Row:
    """Insert an open dispense; its row. The database refuses a second open one of the same device."""
    row = tx.one(
        "INSERT INTO dispenses "
        "(vend_id, machine_id, device_id, slot, epoch, seq, state, requested_boot, requested_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, 'requested', ?, ?) RETURNING *",
        str(vend_id),
        str(machine_id),
        str(device_id),
        slot,
        *number,
        str(at.boot_id),
        at.ms,
    )
    assert row is not None  # noqa: S101 - an INSERT returns its row or raises
    return row


def dispense(tx: Transaction, vend_id: UUID) -> sqlite3.Row | None:
    """The command behind a vend."""
    return tx.one("SELECT * FROM dispenses WHERE vend_id = ?", str(vend_id))


def open_dispenses(tx: Transaction) -> list[sqlite3.Row]:
    """All dispenses without an outcome, at most one a device.

    One numbered under an earlier epoch than its device's was in flight when the ledger was backed up. Its device
    may have run it since and been swapped, so it counts as being cancelled: a cancel can start nothing.
    """
    return tx.all(
        "SELECT d.vend_id, d.machine_id, d.device_id, d.slot, d.epoch, d.seq, d.requested_boot, d.requested_ms, "
        "d.drop_seen, CASE WHEN d.epoch < devices.epoch THEN 'cancelling' ELSE d.state END AS state "
        "FROM dispenses AS d JOIN devices USING (device_id) WHERE d.state != 'ended'"
    )


def open_dispense(tx: Transaction, device_id: UUID) -> sqlite3.Row | None:
    """The device's dispense without an outcome."""
    return tx.one("SELECT * FROM dispenses WHERE device_id = ? AND state != 'ended'", str(device_id))


def set_cancelling(tx: Transaction, vend_id: UUID) -> bool:
    """Whether that was news."""
    sql = "UPDATE dispenses SET state = 'cancelling' WHERE vend_id = ? AND state = 'requested'"
    return tx.run(sql, str(vend_id)) > 0


def set_drop_seen(tx: Transaction, device_id: UUID, vend_id: UUID) -> None:
    """Keep the proof of a drop beside the open dispense."""
    sql = "UPDATE dispenses SET drop_seen = 1 WHERE vend_id = ? AND device_id = ? AND state != 'ended'"
    tx.run(sql, str(vend_id), str(device_id))


def end_dispense(tx: Transaction, vend_id: UUID, outcome: VendOutcome) -> bool:
    """Give the dispense its one outcome; false if it has one."""
    sql = "UPDATE dispenses SET state = 'ended', outcome = ? WHERE vend_id = ? AND state != 'ended'"
    return tx.run(sql, outcome, str(vend_id)) > 0
