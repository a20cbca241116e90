"""SQL of zones."""

import json
import sqlite3
from uuid import UUID

from edge.database import Transaction
from shared.climate import ZoneCondition, ZoneReport
from shared.topics import Topic


def zone(tx: Transaction, device_id: UUID, name: str) -> sqlite3.Row | None:
    """What is known of the zone."""
    return tx.one("SELECT * FROM zones WHERE device_id = ? AND zone = ?", str(device_id), name)


def put(tx: Transaction, topic: Topic, report: ZoneReport) -> None:
    """Keep what the device says. Who asked for a release is of interest only as long as it is locked."""
    tx.run(
        "INSERT INTO zones (device_id, zone, machine_id, condition, slots) VALUES (?1, ?2, ?3, ?4, ?5) "
        "ON CONFLICT (device_id, zone) DO UPDATE SET machine_id = ?3, condition = ?4, slots = ?5, "
        "asked_by = CASE WHEN ?4 = 'locked' THEN asked_by END",
        str(topic.device_id),
        report.zone,
        str(topic.machine_id),
        report.condition,
        json.dumps(report.slots),
    )


def drop_others(tx: Transaction, device_id: UUID, names: frozenset[str]) -> list[sqlite3.Row]:
    """Forget the device's zones that bear none of these names; those that were locked."""
    rows = tx.all("SELECT * FROM zones WHERE device_id = ?", str(device_id))
    gone = [row for row in rows if row["zone"] not in names]
    for row in gone:
        tx.run("DELETE FROM zones WHERE device_id = ? AND zone = ?", row["device_id"], row["zone"])
    return [row for row in gone if row["condition"] == ZoneCondition.LOCKED]


def drop(tx: Transaction, device_id: UUID, name: str) -> None:
    """Forget the zone."""
    tx.run("DELETE FROM zones WHERE device_id = ? AND zone = ?", str(device_id), name)


def set_asked_by(tx: Transaction, device_id: UUID, name: str, asked_by: str) -> None:
    """Remember who asked for the release of a locked zone."""
    sql = "UPDATE zones SET asked_by = ? WHERE device_id = ? AND zone = ? AND condition = 'locked'"
    tx.run(sql, asked_by, str(device_id), name)


def locked_slots(tx: Transaction, machine_id: UUID) -> frozenset[str]:
    """Every slot of the machine that lies in a locked zone."""
    rows = tx.all("SELECT slots FROM zones WHERE machine_id = ? AND condition = 'locked'", str(machine_id))
    return frozenset(slot for row in rows for slot in json.loads(row["slots"]))
