"""SQL of parcels."""

from collections.abc import Iterable
from uuid import UUID

from edge.database import Transaction
from shared.signed import Purpose


def set_permits(tx: Transaction, device_id: UUID, purpose: Purpose, digests: Iterable[str]) -> None:
    """The device may fetch these for this purpose, and nothing else."""
    tx.run("DELETE FROM parcel_permits WHERE device_id = ? AND purpose = ?", str(device_id), purpose)
    rows = [(str(device_id), purpose, digest) for digest in sorted(set(digests))]
    tx.run_many("INSERT INTO parcel_permits VALUES (?, ?, ?)", rows)


def is_permitted(tx: Transaction, device_id: UUID, digest: str) -> bool:
    """Whether the device may fetch this file."""
    sql = "SELECT 1 FROM parcel_permits WHERE device_id = ? AND digest = ? LIMIT 1"
    return tx.one(sql, str(device_id), digest) is not None


def permitted(tx: Transaction) -> frozenset[str]:
    """Every file that any device may fetch."""
    return frozenset(row["digest"] for row in tx.all("SELECT DISTINCT digest FROM parcel_permits"))
