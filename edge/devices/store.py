"""SQL of devices."""

import sqlite3
from uuid import UUID

from edge.database import Transaction
from edge.devices.rules import Journal
from shared.devices import Claim, ExpectedDevice


def put_expected(tx: Transaction, expected: ExpectedDevice) -> None:
    """Insert or update; a claimed device keeps its credentials."""
    tx.run(
        "INSERT INTO devices (device_id, machine_id, name, claim_code_sha256, claim_expires_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (device_id) DO UPDATE SET machine_id = excluded.machine_id, name = excluded.name, "
        "claim_code_sha256 = excluded.claim_code_sha256, claim_expires_at = excluded.claim_expires_at",
        str(expected.device_id),
        str(expected.machine_id),
        expected.name,
        expected.claim_code_sha256,
        expected.claim_expires_at.isoformat(),
    )


def device(tx: Transaction, device_id: UUID) -> sqlite3.Row | None:
    """The device's row."""
    return tx.one("SELECT * FROM devices WHERE device_id = ?", str(device_id))


def add_claim(tx: Transaction, device_id: UUID, claim: Claim) -> bool:
    """Register credentials under the current claim code; false if that code was used before."""
    sql = (
        "UPDATE devices SET token_sha256 = ?, command_key = ?, used_code_sha256 = claim_code_sha256 "
        "WHERE device_id = ? AND used_code_sha256 IS NOT claim_code_sha256"
    )
    return tx.run(sql, claim.token_sha256, bytes.fromhex(claim.command_key), str(device_id)) > 0


def set_online(tx: Transaction, device_id: UUID, *, online: bool) -> bool:
    """Whether that was news."""
    return tx.run("UPDATE devices SET online = ?2 WHERE device_id = ?1 AND online != ?2", str(device_id), online) > 0


def presence(tx: Transaction) -> list[sqlite3.Row]:
    """All devices, and whether the ledger believes them to be online."""
    return tx.all("SELECT device_id, machine_id, online FROM devices")


def set_firmware(tx: Transaction, device_id: UUID, firmware: str) -> None:
    """Remember what the device runs."""
    tx.run("UPDATE devices SET firmware = ? WHERE device_id = ?", firmware, str(device_id))


def see_number(tx: Transaction, device_id: UUID, epoch: int, seq: int) -> None:
    """Remember that the device's journal goes at least so far."""
    sql = "UPDATE devices SET seen_epoch = ?1, seen_seq = ?2 WHERE device_id = ?3 AND (seen_epoch, seen_seq) < (?1, ?2)"
    tx.run(sql, epoch, seq, str(device_id))


def set_journal(tx: Transaction, device_id: UUID, journal: Journal) -> None:
    """Remember the journal the device has now, be it shorter than the one before."""
    sql = "UPDATE devices SET journal_id = ?, seen_epoch = ?, seen_seq = ? WHERE device_id = ?"
    tx.run(sql, journal.journal_id, *journal.highest, str(device_id))


def set_journal_lost(tx: Transaction, device_id: UUID) -> None:
    """Remember that the journal is gone which had been told of all commands up to now."""
    tx.run("UPDATE devices SET lost_epoch = epoch, lost_seq = seq WHERE device_id = ?", str(device_id))


def start_epoch(tx: Transaction, device_id: UUID, epoch: int) -> None:
    """Number the device's commands under a new epoch."""
    tx.run("UPDATE devices SET epoch = ?, seq = 0 WHERE device_id = ?", epoch, str(device_id))


def raise_all_epochs(tx: Transaction) -> None:
    """Number every device's commands under a new epoch: the ledger was restored."""
    tx.run("UPDATE devices SET epoch = epoch + 1, seq = 0")


def skip_number(tx: Transaction, device_id: UUID, epoch: int, seq: int) -> None:
    """Begin a new epoch above this number, unless the device's is above it."""
    sql = "UPDATE devices SET epoch = ?1 + 1, seq = 0 WHERE device_id = ?3 AND (epoch, seq) < (?1, ?2)"
    tx.run(sql, epoch, seq, str(device_id))


def next_number(tx: Transaction, device_id: UUID) -> tuple[int, int]:
    """Take the next (epoch, seq) of the device."""
    row = tx.one("UPDATE devices SET seq = seq + 1 WHERE device_id = ? RETURNING epoch, seq", str(device_id))
    if row is None:
        raise LookupError(f"device {device_id} is not known")
    return row["epoch"], row["seq"]
