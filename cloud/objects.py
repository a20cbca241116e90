"""Which files there are, and how long they are kept: a row for each, written before the file and gone after it.

So whatever breaks off in between, there is no file that nobody knows of. A row whose time has passed is let go by a job
(`Collector`), with its file; one without a time is in use.
"""

from collections.abc import Sequence
from uuid import UUID

from cloud.database import Database, Transaction
from cloud.errors import Refused
from cloud.object_store import ObjectStore, path_of
from shared.errors import Code

GRACE_SECONDS = 3600.0
"""So long a file stays that nobody uses (yet, or any more). No upload takes as long."""
AT_ONCE = 100

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('objects ' || $1, 0))"
_ANNOUNCE = """
    INSERT INTO stored_objects (tenant_id, name, bytes, kept_until)
    SELECT $1, name, bytes, now() + $4 * interval '1 second' FROM unnest($2::text[], $3::bigint[]) AS o (name, bytes)
    ORDER BY name
    ON CONFLICT ON CONSTRAINT stored_objects_pkey DO UPDATE
        SET kept_until = CASE WHEN stored_objects.kept_until IS NULL THEN NULL ELSE excluded.kept_until END
"""
_HELD = "SELECT coalesce(sum(bytes), 0)::bigint AS bytes FROM stored_objects"
_USE = "UPDATE stored_objects SET kept_until = NULL WHERE name = ANY($1)"
_LOCK_ROWS = "SELECT FROM stored_objects WHERE name = ANY($1) ORDER BY name FOR UPDATE"
_RELEASE = "UPDATE stored_objects SET kept_until = now() + $2 * interval '1 second' WHERE name = ANY($1)"
_FORGET = "DELETE FROM stored_objects WHERE name = ANY($1)"
_TENANTS = "SELECT tenant_id FROM tenants_with_expired_objects() AS t (tenant_id)"
_EXPIRED = "SELECT name FROM stored_objects WHERE kept_until < now() ORDER BY name LIMIT $1 FOR UPDATE SKIP LOCKED"


async def announce(transaction: Transaction, tenant_id: UUID, objects: Sequence[tuple[str, int]], quota: int) -> None:
    """Inside a unit of the tenant, before their files are stored: names and sizes. Kept for GRACE_SECONDS, then in use.

    Raises Refused when the tenant then has more than `quota` bytes.
    """
    await transaction.execute(_LOCK, str(tenant_id))
    names, sizes = [name for name, _ in objects], [size for _, size in objects]
    await transaction.execute(_ANNOUNCE, tenant_id, names, sizes, GRACE_SECONDS)
    row = await transaction.fetch_one(_HELD)
    if row is not None and row["bytes"] > quota:
        raise Refused(Code.QUOTA_EXCEEDED, f"With it your files would have more than {quota} bytes.", status=409)


async def use(transaction: Transaction, names: Sequence[str]) -> None:
    """Inside a unit of the tenant: something refers to these from this transaction on."""
    await transaction.execute(_USE, list(names))


async def lock(transaction: Transaction, names: Sequence[str]) -> None:
    """Inside a unit of the tenant: until its end nobody else begins or ceases to use these."""
    await transaction.execute(_LOCK_ROWS, sorted(names))


async def release(transaction: Transaction, names: Sequence[str]) -> None:
    """Inside a unit of the tenant: nothing refers to these any more. They go when GRACE_SECONDS are over."""
    await transaction.execute(_RELEASE, list(names), GRACE_SECONDS)


async def forget(transaction: Transaction, names: Sequence[str]) -> None:
    """Inside a unit of the tenant: their files are gone."""
    await transaction.execute(_FORGET, list(names))


class Collector:
    """Lets go of what has outlived its time, of all tenants."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    async def collect(self) -> int:
        """How many files have gone. Raises Unavailable."""
        gone = 0
        for row in await self._database.unit("objects.expired", lambda transaction: transaction.fetch(_TENANTS)):
            while found := await self._collect(row["tenant_id"]):
                gone += found
        return gone

    async def _collect(self, tenant_id: UUID) -> int:
        async def work(transaction: Transaction) -> int:
            """The rows are locked meanwhile: who announces one of them anew waits, and stores its file after that."""
            names = [row["name"] for row in await transaction.fetch(_EXPIRED, AT_ONCE)]
            if names:
                await self._store.delete([path_of(tenant_id, name) for name in names])
                await forget(transaction, names)
            return len(names)

        return await self._database.unit("objects.collect", work, tenant_id=tenant_id)
