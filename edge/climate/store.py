"""SQL of zones."""

import json
import sqlite3
from uuid import UUID

from edge.database import Transaction
from shared.climate import ZoneReport
from shared.topics import Topic

KEPT_REQUESTS = 1000
"""A device may tell of a release long after it was asked for."""


def zone(tx: Transaction, device_id: UUID, name: str) -> sqlite3.Row | None:
    """What is known of the zone."""
    return tx.one("SELECT * FROM zones WHERE device_id = ? AND zone = ?", str(device_id), name)


def put(tx: Transaction, topic: Topic, report: ZoneReport) -> None:
    """Keep what the device says."""
    tx.run(
        "INSERT OR REPLACE INTO zones (device_id, zone, machine_id, condition, slots, release_id) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        str(topic.device_id),
        report.zone,
        str(topic.machine_id),
        report.condition,
        json.dumps(report.slots),
        None if report.released is None else str(report.released.release_id),
    )


def locked_others(tx: Transaction, device_id: UUID, names: frozenset[str]) -> list[str]:
    """The device's locked zones that bear none of these names."""
    rows = tx.all("SELECT zone FROM zones WHERE device_id = ? AND condition = 'locked'", str(device_id))
    return [row["zone"] for row in rows if row["zone"] not in names]


def unlock(tx: Transaction, device_id: UUID, name: str) -> None:
    """Nobody watches the zone any more. Its last release stays: should its device come back, it tells it again."""
    tx.run("UPDATE zones SET condition = 'cold' WHERE device_id = ? AND zone = ?", str(device_id), name)


def add_request(tx: Transaction, request_id: UUID, asked_by: str) -> None:
    """Remember who asked for a release, and of such the newest KEPT_REQUESTS."""
    tx.run("INSERT OR IGNORE INTO zone_requests VALUES (?, ?)", str(request_id), asked_by)
    too_old = "SELECT rowid FROM zone_requests ORDER BY rowid DESC LIMIT -1 OFFSET ?"
    tx.run(f"DELETE FROM zone_requests WHERE rowid IN ({too_old})", KEPT_REQUESTS)  # noqa: S608 - a constant


def asked_by(tx: Transaction, request_id: UUID) -> str | None:
    """Who asked for this release."""
    row = tx.one("SELECT asked_by FROM zone_requests WHERE request_id = ?", str(request_id))
    return None if row is None else str(row["asked_by"])


def locked_devices(tx: Transaction) -> list[sqlite3.Row]:
    """The devices with a locked zone, and their machines."""
    return tx.all("SELECT DISTINCT machine_id, device_id FROM zones WHERE condition = 'locked'")


def locked_slots(tx: Transaction, machine_id: UUID) -> frozenset[str]:
    """Every slot of the machine that lies in a locked zone."""
    rows = tx.all("SELECT slots FROM zones WHERE machine_id = ? AND condition = 'locked'", str(machine_id))
    return frozenset(slot for row in rows for slot in json.loads(row["slots"]))
