"""The tables of originals: what is known of a record that comes again, and how new ones are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.database import Transaction, columns, values
from shared.orders import OrderState

_FILE = "SELECT id FROM legacy_files WHERE path = $1 AND sha256 = $2"
_ADD_FILE = """
    INSERT INTO legacy_files (tenant_id, id, path, kind, sha256, bytes, machine_id, object, archive_key, imported_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_MACHINE = "SELECT machine_id FROM legacy_machines WHERE source = $1"
_ADD_MACHINE = "INSERT INTO legacy_machines (tenant_id, source, machine_id) VALUES ($1, $2, $3)"
_KNOWN = """
    SELECT r.id, r.legacy_id, r.occurrence, r.fingerprint, r.product_id, o.state, o.placed_at, o.total_minor, o.currency
    FROM legacy_records r LEFT JOIN orders o ON o.tenant_id = r.tenant_id AND o.id = r.id
    WHERE r.source = $1 AND r.kind = $2 AND r.legacy_id = ANY($3::text[])
"""
_ADD = """
    INSERT INTO legacy_records (tenant_id, source, kind, file_id, imported_at, id, legacy_id, occurrence, position,
                                product_id, customer_id, personal, odd, original, fingerprint)
    SELECT $1, $2, $3, $4, $5, id, legacy_id, occurrence, position, product_id, customer_id, personal,
           coalesce(string_to_array(nullif(odd, ''), ','), '{}'), original, fingerprint
    FROM unnest($6::uuid[], $7::text[], $8::integer[], $9::integer[], $10::uuid[], $11::uuid[], $12::boolean[],
                $13::text[], $14::text[], $15::text[])
        AS u (id, legacy_id, occurrence, position, product_id, customer_id, personal, odd, original, fingerprint)
"""
_AGAIN = """
    UPDATE legacy_records r SET file_id = $1, position = u.position, personal = u.personal,
        customer_id = coalesce(u.customer_id, r.customer_id),
        odd = coalesce(string_to_array(nullif(u.odd, ''), ','), '{}'),
        original = u.original, fingerprint = u.fingerprint
    FROM unnest($2::uuid[], $3::text[], $4::integer[], $5::integer[], $6::uuid[], $7::uuid[], $8::boolean[],
                $9::text[], $10::text[], $11::text[])
        AS u (id, legacy_id, occurrence, position, product_id, customer_id, personal, odd, original, fingerprint)
    WHERE r.id = u.id AND r.erased_at IS NULL
"""
_PRODUCTS = """
    SELECT legacy_id, product_id FROM legacy_records
    WHERE source = $1 AND kind = 'inventory' AND product_id IS NOT NULL ORDER BY occurrence DESC
"""


@dataclass(frozen=True)
class LegacyFile:
    """A file as it is kept; `object` and `archive_key` are None of an empty one."""

    file_id: UUID
    path: str
    kind: str
    sha256: str
    size: int
    machine_id: UUID | None
    object: str | None
    archive_key: str | None


@dataclass(frozen=True)
class Known:
    """A record that was taken over before; `fingerprint` is None once it was erased. Of an order, how it stands."""

    record_id: UUID
    fingerprint: str | None
    product_id: UUID | None
    state: OrderState | None
    placed_at: datetime | None
    total_minor: int | None
    currency: str | None


@dataclass(frozen=True)
class Kept:
    """A record as it is kept, in the order of _ADD. `odd` with commas between."""

    record_id: UUID
    legacy_id: str
    occurrence: int
    position: int
    product_id: UUID | None
    customer_id: UUID | None
    personal: bool
    odd: str
    original: str
    fingerprint: str


async def file_known(transaction: Transaction, path: str, sha256: str) -> UUID | None:
    """The same file, if it was taken over before."""
    row = await transaction.fetch_one(_FILE, path, sha256)
    return None if row is None else row["id"]


async def add_file(transaction: Transaction, tenant_id: UUID, file: LegacyFile, now: datetime) -> None:
    """A file that is new."""
    await transaction.execute(_ADD_FILE, tenant_id, *values(file), now)


async def machine_known(transaction: Transaction, source: str) -> UUID | None:
    """Which machine was called so."""
    row = await transaction.fetch_one(_MACHINE, source)
    return None if row is None else row["machine_id"]


async def add_machine(transaction: Transaction, tenant_id: UUID, source: str, machine_id: UUID) -> None:
    """From now on this machine is what was called so."""
    await transaction.execute(_ADD_MACHINE, tenant_id, source, machine_id)


async def known(
    transaction: Transaction, source: str, kind: str, legacy_ids: Sequence[str]
) -> dict[tuple[str, int], Known]:
    """What is known under these ids, by id and occurrence."""
    rows = await transaction.fetch(_KNOWN, source, kind, list(set(legacy_ids)))
    return {
        (row["legacy_id"], row["occurrence"]): Known(
            row["id"],
            row["fingerprint"],
            row["product_id"],
            None if row["state"] is None else OrderState(row["state"]),
            row["placed_at"],
            row["total_minor"],
            row["currency"],
        )
        for row in rows
    }


async def add(
    transaction: Transaction,
    tenant_id: UUID,
    source: str,
    kind: str,
    file_id: UUID,
    now: datetime,
    records: Sequence[Kept],
) -> None:
    """Records that are new. Sent: the caller goes on."""
    if records:
        rows = columns([tuple(values(record)) for record in records])
        await transaction.send(_ADD, tenant_id, source, kind, file_id, now, *rows)


async def change(transaction: Transaction, file_id: UUID, records: Sequence[Kept]) -> None:
    """Records that have gone on since."""
    if records:
        await transaction.execute(_AGAIN, file_id, *columns([tuple(values(record)) for record in records]))


async def products(transaction: Transaction, source: str) -> dict[str, UUID]:
    """The products of a machine's items, by what the items called themselves."""
    return {row["legacy_id"]: row["product_id"] for row in await transaction.fetch(_PRODUCTS, source)}
