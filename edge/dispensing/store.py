"""SQL of the commands that move metal."""

import sqlite3
from uuid import UUID

from edge.clock import Moment
from edge.database import Transaction
from shared.orders import VendOutcome

_OPEN_DISPENSES = (
    "SELECT d.vend_id, d.machine_id, d.device_id, d.slot, d.epoch, d.seq, d.requested_boot, d.requested_ms, "
    "d.drop_seen, CASE WHEN d.epoch < devices.epoch THEN 'cancelling' ELSE d.state END AS state, "
    "devices.seen_epoch, devices.seen_seq, devices.lost_epoch, devices.lost_seq "
    "FROM dispenses AS d JOIN devices USING (device_id) WHERE d.state != 'ended'"
)


def add_dispense(
    tx: Transaction, vend_id: UUID, machine_id: UUID, device_id: UUID, slot: str, number: tuple[int, int], at: Moment
) -> sqlite3.Row:
    """Insert an open dispense; its row. The database refuses a fifth open one of the same device."""
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
    """All dispenses without an outcome, and what is known of their devices' journals, each device's in their order.

    One numbered under an earlier epoch than its device's was in flight when the ledger was backed up. Its device
    may have run it since and been swapped, so it counts as being cancelled: a cancel can start nothing.
    """
    return tx.all(f"{_OPEN_DISPENSES} ORDER BY d.epoch, d.seq")


def open_dispenses_of(tx: Transaction, device_id: UUID) -> list[sqlite3.Row]:
    """The device's dispenses without an outcome, as in `open_dispenses`."""
    return tx.all(f"{_OPEN_DISPENSES} AND d.device_id = ? ORDER BY d.epoch, d.seq", str(device_id))


def open_vends(tx: Transaction, device_id: UUID) -> dict[UUID, str]:
    """The vends of the device's dispenses without an outcome, and their slots."""
    rows = tx.all("SELECT vend_id, slot FROM dispenses WHERE device_id = ? AND state != 'ended'", str(device_id))
    return {UUID(row["vend_id"]): row["slot"] for row in rows}


def set_cancelling(tx: Transaction, vend_id: UUID) -> bool:
    """Whether that was news."""
    sql = "UPDATE dispenses SET state = 'cancelling' WHERE vend_id = ? AND state = 'requested'"
    return tx.run(sql, str(vend_id)) > 0


def set_drop_seen(tx: Transaction, device_id: UUID, vend_id: UUID) -> None:
    """Keep the proof of a drop beside the open, or held, dispense."""
    sql = "UPDATE dispenses SET drop_seen = 1 WHERE vend_id = ? AND device_id = ? AND state != 'ended'"
    if not tx.run(sql, str(vend_id), str(device_id)):
        sql = "UPDATE held_dispenses SET drop_seen = 1 WHERE vend_id = ? AND device_id = ?"
        tx.run(sql, str(vend_id), str(device_id))


def hold_open(tx: Transaction) -> None:
    """Put all open dispenses away."""
    tx.run(
        "INSERT OR IGNORE INTO held_dispenses (vend_id, machine_id, device_id, slot, epoch, seq, drop_seen) "
        "SELECT vend_id, machine_id, device_id, slot, epoch, seq, drop_seen FROM dispenses WHERE state != 'ended'"
    )
    tx.run("DELETE FROM dispenses WHERE state != 'ended'")


def hold(tx: Transaction, vend_id: UUID, machine_id: UUID, device_id: UUID, slot: str, number: tuple[int, int]) -> None:
    """Put a dispense away of which only the number is known, unless its vend has one."""
    sql = (
        "INSERT OR IGNORE INTO held_dispenses (vend_id, machine_id, device_id, slot, epoch, seq) "
        "SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM dispenses WHERE vend_id = ?1)"
    )
    tx.run(sql, str(vend_id), str(machine_id), str(device_id), slot, *number)


def held(tx: Transaction, vend_id: UUID) -> sqlite3.Row | None:
    """The dispense that was put away."""
    return tx.one("SELECT * FROM held_dispenses WHERE vend_id = ?", str(vend_id))


def is_resumable(tx: Transaction, vend_id: UUID) -> bool:
    """Whether a held dispense can be taken up: its device is known, and its number is nobody else's."""
    sql = (
        "SELECT 1 FROM held_dispenses AS h JOIN devices USING (device_id) WHERE vend_id = ? AND NOT EXISTS "
        "(SELECT 1 FROM dispenses AS d WHERE (d.device_id, d.epoch, d.seq) = (h.device_id, h.epoch, h.seq))"
    )
    return tx.one(sql, str(vend_id)) is not None


def drop_held(tx: Transaction, vend_id: UUID) -> bool:
    """Forget a held dispense; false if there is none."""
    return tx.run("DELETE FROM held_dispenses WHERE vend_id = ?", str(vend_id)) > 0


def release_held(tx: Transaction) -> list[UUID]:
    """Let held dispenses be taken up; their devices."""
    tx.run("UPDATE held_dispenses SET released = 1")
    return [UUID(row["device_id"]) for row in tx.all("SELECT DISTINCT device_id FROM held_dispenses")]


def resume(tx: Transaction, device_id: UUID, boot_id: UUID) -> bool:
    """Open the device's oldest released dispense, as requested in another boot; false if there is none."""
    sql = "SELECT vend_id FROM held_dispenses WHERE device_id = ? AND released ORDER BY epoch, seq LIMIT 1"
    row = tx.one(sql, str(device_id))
    if row is None:
        return False
    tx.run(
        "INSERT INTO dispenses (vend_id, machine_id, device_id, slot, epoch, seq, drop_seen, state, requested_boot, "
        "requested_ms) SELECT vend_id, machine_id, device_id, slot, epoch, seq, drop_seen, 'requested', ?, 0 "
        "FROM held_dispenses WHERE vend_id = ?",
        str(boot_id),
        row["vend_id"],
    )
    return drop_held(tx, UUID(row["vend_id"]))


def end_dispense(tx: Transaction, vend_id: UUID, outcome: VendOutcome) -> bool:
    """Give the dispense its one outcome; false if it has one."""
    sql = "UPDATE dispenses SET state = 'ended', outcome = ? WHERE vend_id = ? AND state != 'ended'"
    return tx.run(sql, outcome, str(vend_id)) > 0
