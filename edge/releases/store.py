"""SQL of releases."""

import sqlite3
from uuid import UUID

from edge.database import Transaction
from shared.releases import FirmwareAssigned, FirmwareReport


def put_assignment(tx: Transaction, change: FirmwareAssigned) -> bool:
    """Remember what the device shall run; false if this very assignment is known."""
    release = change.release
    return (
        tx.run(
            "INSERT INTO release_assignments (device_id, machine_id, assignment_id, digest, size) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (device_id) DO UPDATE SET machine_id = excluded.machine_id, "
            "assignment_id = excluded.assignment_id, digest = excluded.digest, size = excluded.size, checked = 0, "
            "offered = 0, failures = 0, given_up = NULL WHERE assignment_id != excluded.assignment_id",
            str(change.device_id),
            str(change.machine_id),
            str(change.assignment_id),
            release.digest if release else None,
            release.size if release else None,
        )
        > 0
    )


def assignment(tx: Transaction, device_id: UUID) -> sqlite3.Row | None:
    """What the device shall run, if that is still wanted: a release is assigned, and not given up."""
    sql = "SELECT * FROM release_assignments WHERE device_id = ? AND digest IS NOT NULL AND given_up IS NULL"
    return tx.one(sql, str(device_id))


def assignments(tx: Transaction) -> list[sqlite3.Row]:
    """What devices shall run; with what they last said of themselves, if they ever did."""
    return tx.all(
        "SELECT a.*, f.boot_id, f.digest AS running, f.state, f.offered AS taken_up FROM release_assignments a "
        "LEFT JOIN device_firmware f USING (device_id) WHERE a.digest IS NOT NULL AND given_up IS NULL "
        "ORDER BY device_id"
    )


def set_checked(tx: Transaction, device_id: UUID, *, checked: bool) -> None:
    """Whether its signed text was found right, and the device may fetch all that it lists."""
    tx.run("UPDATE release_assignments SET checked = ? WHERE device_id = ?", checked, str(device_id))


def set_offered(tx: Transaction, device_id: UUID) -> None:
    """It was offered: what the device says of it next is of this offer."""
    tx.run("UPDATE release_assignments SET offered = 1 WHERE device_id = ?", str(device_id))


def count_failure(tx: Transaction, device_id: UUID) -> int:
    """The offer has come to nothing; how many have."""
    sql = "UPDATE release_assignments SET offered = 0, failures = failures + 1 WHERE device_id = ? RETURNING failures"
    row = tx.one(sql, str(device_id))
    return 0 if row is None else row["failures"]


def give_up(tx: Transaction, device_id: UUID, reason: str) -> None:
    """Not offered any more until it is assigned anew."""
    tx.run("UPDATE release_assignments SET given_up = ?, offered = 0 WHERE device_id = ?", reason, str(device_id))


def put_report(tx: Transaction, device_id: UUID, report: FirmwareReport) -> bool:
    """Remember what the device says of itself; whether it says anything else than before."""
    running = report.running
    told = (running.slot, running.digest, running.version, report.state, report.offered, report.reason)
    sql = "SELECT slot, digest, version, state, offered, reason FROM device_firmware WHERE device_id = ?"
    known = tx.one(sql, str(device_id))
    tx.run(
        "INSERT OR REPLACE INTO device_firmware VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        str(device_id),
        str(report.boot_id),
        *told,
    )
    return known is None or tuple(known) != told
