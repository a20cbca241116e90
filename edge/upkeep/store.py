"""SQL of upkeep."""

import sqlite3
from collections.abc import Sequence
from uuid import UUID

from edge.database import Transaction
from shared.upkeep import DeviceInstruction, LogLine, SettingsAssigned, SettingsReported

KEPT_LOG_LINES = 200
KEPT_ENDED = 1000
"""So many instructions that have ended are remembered, so that one which comes again is not asked again."""


def add_instruction(tx: Transaction, wish: DeviceInstruction) -> bool:
    """Keep it until it has ended; false if it is known."""
    sql = "INSERT INTO instructions (request_id, device_id, line) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    return tx.run(sql, str(wish.request_id), str(wish.device_id), wish.to_line().decode()) > 0


def waiting(tx: Transaction) -> list[DeviceInstruction]:
    """Instructions that have not ended, oldest first."""
    rows = tx.all("SELECT line FROM instructions WHERE NOT ended ORDER BY rowid")
    return [DeviceInstruction.model_validate_json(row["line"]) for row in rows]


def waiting_instruction(tx: Transaction, request_id: UUID) -> DeviceInstruction | None:
    """The instruction, unless it has ended."""
    row = tx.one("SELECT line FROM instructions WHERE request_id = ? AND NOT ended", str(request_id))
    return None if row is None else DeviceInstruction.model_validate_json(row["line"])


def end_instruction(tx: Transaction, wish: DeviceInstruction) -> None:
    """It is over: of its PIN nothing is kept, and of the oldest such instructions nothing at all."""
    line = wish.model_copy(update={"pin": None}).to_line().decode()
    tx.run("UPDATE instructions SET ended = 1, line = ? WHERE request_id = ?", line, str(wish.request_id))
    too_old = "SELECT rowid FROM instructions WHERE ended ORDER BY rowid DESC LIMIT -1 OFFSET ?"
    tx.run(f"DELETE FROM instructions WHERE rowid IN ({too_old})", KEPT_ENDED)  # noqa: S608 - a constant


def assign_settings(tx: Transaction, assigned: SettingsAssigned, digest: str, tries_before: int) -> bool:
    """Keep what the device shall run on; false unless it is newer than what was kept."""
    sql = """
        INSERT INTO assigned_settings (device_id, machine_id, version, digest, file, tries_before)
        VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (device_id) DO UPDATE SET machine_id = excluded.machine_id, version = excluded.version,
            digest = excluded.digest, file = excluded.file, tries_before = excluded.tries_before
        WHERE excluded.version > version
    """
    file = assigned.signed.to_line().decode()
    ids = (str(assigned.device_id), str(assigned.machine_id))
    return tx.run(sql, *ids, assigned.version, digest, file, tries_before) > 0


def reported_settings(tx: Transaction, device_id: UUID) -> SettingsReported | None:
    """What the device told last."""
    row = tx.one("SELECT line FROM reported_settings WHERE device_id = ?", str(device_id))
    return None if row is None else SettingsReported.model_validate_json(row["line"])


def due_settings(tx: Transaction) -> list[sqlite3.Row]:
    """Settings of which it is not known what became, whose devices have told what they run on, and in which boot."""
    return tx.all(
        "SELECT a.*, r.boot_id, r.line AS reported FROM assigned_settings a JOIN reported_settings r USING (device_id) "
        "WHERE a.file IS NOT NULL ORDER BY a.device_id"
    )


def open_settings(tx: Transaction, device_id: UUID) -> sqlite3.Row | None:
    """The settings of which it is not known what became."""
    return tx.one("SELECT * FROM assigned_settings WHERE device_id = ? AND file IS NOT NULL", str(device_id))


def set_settings_ended(tx: Transaction, device_id: UUID) -> None:
    """It is known what became of them."""
    tx.run("UPDATE assigned_settings SET file = NULL WHERE device_id = ?", str(device_id))


def report_settings(tx: Transaction, boot_id: UUID, told: SettingsReported) -> bool:
    """Remember what the device told last; whether it is another than before."""
    line = told.to_line().decode()
    known = tx.one("SELECT line FROM reported_settings WHERE device_id = ?", str(told.device_id))
    tx.run("INSERT OR REPLACE INTO reported_settings VALUES (?, ?, ?)", str(told.device_id), str(boot_id), line)
    return known is None or known["line"] != line


def add_log(tx: Transaction, device_id: UUID, boot_id: UUID, at: str, lines: Sequence[LogLine]) -> None:
    """Keep the lines, and of this device the newest KEPT_LOG_LINES."""
    rows = [(str(device_id), str(boot_id), at, line.to_line().decode()) for line in lines]
    tx.run_many("INSERT INTO device_log VALUES (?, ?, ?, ?)", rows)
    too_old = "SELECT rowid FROM device_log WHERE device_id = ? ORDER BY rowid DESC LIMIT -1 OFFSET ?"
    tx.run(f"DELETE FROM device_log WHERE rowid IN ({too_old})", str(device_id), KEPT_LOG_LINES)  # noqa: S608


def log_lines(connection: sqlite3.Connection, device_id: UUID | None) -> list[tuple[str, str, str, str]]:
    """(heard at, device, boot, line) of one device, or of all, as they came."""
    sql = "SELECT at, device_id, boot_id, line FROM device_log WHERE ?1 IS NULL OR device_id = ?1 ORDER BY rowid"
    return connection.execute(sql, (None if device_id is None else str(device_id),)).fetchall()
