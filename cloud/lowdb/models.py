"""The tables of originals: what is known of a record that comes again, and how new ones are kept."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.database import Row, Transaction, columns, values
from cloud.lowdb.mapping import Collection
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
    FROM unnest($3::text[]) AS u (legacy_id)
    CROSS JOIN LATERAL (
        SELECT id, legacy_id, occurrence, fingerprint, product_id FROM legacy_records
        WHERE source = $1 AND kind = $2 AND legacy_id = u.legacy_id OFFSET 0
    ) AS r
    LEFT JOIN LATERAL (
        SELECT state, placed_at, total_minor, currency FROM orders WHERE id = r.id OFFSET 0
    ) AS o ON true
"""
_ADD = """
    INSERT INTO legacy_records (tenant_id, source, kind, collection, file_id, imported_at, id, legacy_id, occurrence,
                                position, product_id, customer_id, personal, odd, original, fingerprint)
    SELECT $1, $2, $3, $4, $5, $6, id, legacy_id, occurrence, position, product_id, customer_id, personal,
           coalesce(string_to_array(nullif(odd, ''), ','), '{}'), original, fingerprint
    FROM unnest($7::uuid[], $8::text[], $9::integer[], $10::integer[], $11::uuid[], $12::uuid[], $13::boolean[],
                $14::text[], $15::text[], $16::text[])
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
_ERASE = """
    UPDATE legacy_records SET original = NULL, fingerprint = NULL, customer_id = NULL, personal = false,
                              erased_at = $2, erased_because = $3
    WHERE customer_id = $1 RETURNING file_id
"""
_ERASE_NOBODYS = """
    UPDATE legacy_records SET original = NULL, fingerprint = NULL, personal = false,
                              erased_at = $2, erased_because = 'retention'
    WHERE id = ANY (ARRAY(
        SELECT id FROM legacy_records
        WHERE personal AND erased_at IS NULL AND customer_id IS NULL AND imported_at < $1 LIMIT $3))
    RETURNING file_id
"""
_SHRED = """
    UPDATE legacy_files f SET archive_key = NULL FROM legacy_files g
    WHERE g.id = ANY($1::uuid[]) AND f.tenant_id = g.tenant_id AND legacy_folder(f.path) = legacy_folder(g.path)
        AND f.kind = 'records' AND f.archive_key IS NOT NULL
"""
_UNREADABLE = "SELECT id, object FROM legacy_files WHERE archive_key IS NULL AND object IS NOT NULL"
_NO_OBJECT = "UPDATE legacy_files SET object = NULL WHERE id = ANY($1::uuid[])"
_PATHS = """
    SELECT DISTINCT f.path, r.collection, r.kind FROM legacy_records r
    JOIN legacy_files f ON f.tenant_id = r.tenant_id AND f.id = r.file_id ORDER BY 1, 2
"""
_EXPORT = """
    SELECT r.tenant_id, r.id, r.original, r.legacy_id, r.imported_at, r.position, r.erased_because, r.kind
    FROM legacy_records r JOIN legacy_files f ON f.tenant_id = r.tenant_id AND f.id = r.file_id
    WHERE f.path = ANY($1::text[]) AND r.collection = $2 AND (r.imported_at, r.position, r.id) > ($3, $4, $5)
    ORDER BY r.imported_at, r.position, r.id LIMIT $6
"""
_PICTURES = """
    SELECT DISTINCT ON (path) id, path, object, archive_key FROM legacy_files
    WHERE kind = 'picture' ORDER BY path, imported_at DESC
"""
_PRODUCTS = """
    SELECT legacy_id, product_id FROM legacy_records
    WHERE source = $1 AND kind = 'inventory' AND product_id IS NOT NULL ORDER BY occurrence DESC
"""
_PLANS = "SELECT set_config('plan_cache_mode', $1, true)"


@asynccontextmanager
async def planned_anew(transaction: Transaction) -> AsyncIterator[None]:
    """Statements in it are planned for the tables as large as they are now.

    A plan that was made once, while they were empty, takes any index that begins with the tenant: it would read all
    that this transaction has written so far, for each record. Not for what inserts: that looks up every foreign key.
    """
    await transaction.execute(_PLANS, "force_custom_plan")
    yield
    await transaction.execute(_PLANS, "force_generic_plan")


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
    collection: Collection,
    file_id: UUID,
    now: datetime,
    records: Sequence[Kept],
) -> None:
    """Records that are new. Sent: the caller goes on."""
    if records:
        rows = columns([tuple(values(record)) for record in records])
        await transaction.send(_ADD, tenant_id, source, collection.kind, collection.collection, file_id, now, *rows)


async def change(transaction: Transaction, file_id: UUID, records: Sequence[Kept]) -> None:
    """Records that have gone on since."""
    if records:
        await transaction.execute(_AGAIN, file_id, *columns([tuple(values(record)) for record in records]))


async def products(transaction: Transaction, source: str) -> dict[str, UUID]:
    """The products of a machine's items, by what the items called themselves."""
    return {row["legacy_id"]: row["product_id"] for row in await transaction.fetch(_PRODUCTS, source)}


async def erase(transaction: Transaction, customer_id: UUID, at: datetime, because: str) -> list[UUID]:
    """What a person left in originals is not there any more. The files they stood in."""
    return [row["file_id"] for row in await transaction.fetch(_ERASE, customer_id, at, because)]


async def erase_nobodys(transaction: Transaction, before: datetime, at: datetime, at_most: int) -> list[UUID]:
    """As `erase`, of originals that came before then, say something of a person, and are of no customer."""
    return [row["file_id"] for row in await transaction.fetch(_ERASE_NOBODYS, before, at, at_most)]


async def shred(transaction: Transaction, file_ids: Sequence[UUID]) -> None:
    """Nobody reads these archived files any more, nor others that may hold the same."""
    if file_ids:
        await transaction.execute(_SHRED, list(set(file_ids)))


async def unreadable(transaction: Transaction) -> list[str]:
    """The objects of archived files that nobody can read any more: from now on no file refers to them."""
    rows = await transaction.fetch(_UNREADABLE)
    if rows:
        await transaction.execute(_NO_OBJECT, [row["id"] for row in rows])
    return [row["object"] for row in rows]


async def paths(transaction: Transaction) -> list[tuple[str, str, str]]:
    """Path, collection and kind of all that was taken over."""
    return [(row["path"], row["collection"], row["kind"]) for row in await transaction.fetch(_PATHS)]


async def exported(
    transaction: Transaction, of_paths: Sequence[str], collection: str, after: tuple[datetime, int, UUID], limit: int
) -> Sequence[Row]:
    """Records of these files after one, in the order in which they came."""
    return await transaction.fetch(_EXPORT, list(of_paths), collection, *after, limit)


async def pictures(transaction: Transaction) -> Sequence[Row]:
    """The pictures, each as it came last."""
    return await transaction.fetch(_PICTURES)
