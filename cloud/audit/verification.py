"""Checking that the audit log is what was written: no entry changed, removed or put in between."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from cloud.audit.rules import PLATFORM, Chain, Flaw
from cloud.audit.service import COLUMNS, entry_of
from cloud.database import Database, Row, Transaction

_TENANTS = "SELECT id FROM all_tenants() AS t (id) ORDER BY id"
_HEAD = "SELECT number, hash FROM audit_chains WHERE tenant_id = $1"
_PAGE = f"SELECT {COLUMNS}, hash FROM audit_entries WHERE number > $1 ORDER BY number LIMIT $2"  # noqa: S608  our columns
PAGE_ROWS = 500
_BEFORE_ALL = -(2**63)


@dataclass(frozen=True)
class Verified:
    """A chain up to entry `number`, where its hash is `hash`; sound, unless there is a flaw."""

    tenant_id: UUID
    number: int
    hash: bytes
    flaw: Flaw | None

    def line(self) -> str:
        """For people. Whoever keeps it elsewhere can tell later whether a whole chain was written anew."""
        name = "platform" if self.tenant_id == PLATFORM else str(self.tenant_id)
        if self.flaw is not None:
            return f"{name}: BROKEN: entry {self.flaw.number} {self.flaw.what}"
        return f"{name}: {self.number} entries, sound, ends with {self.hash.hex()}"


async def verify(
    database: Database, tenant_id: UUID | None = None, *, page_rows: int = PAGE_ROWS
) -> AsyncIterator[Verified]:
    """Walk the chain of one tenant, or of all and the platform's. Holds a page of entries at a time."""
    if tenant_id is not None:
        yield await _verify(database, tenant_id, page_rows)
        return
    for chain in [PLATFORM, *await database.unit("audit.tenants", _tenants)]:
        yield await _verify(database, chain, page_rows)


async def _tenants(transaction: Transaction) -> list[UUID]:
    return [row["id"] for row in await transaction.fetch(_TENANTS)]


async def _verify(database: Database, tenant_id: UUID, page_rows: int) -> Verified:
    chain, after = Chain(), _BEFORE_ALL
    while True:

        async def work(transaction: Transaction, after: int = after) -> tuple[Row | None, list[Row]]:
            # The head first: what is added after that is in the page, and the head says less than the last entry.
            head = await transaction.fetch_one(_HEAD, tenant_id)
            return head, list(await transaction.fetch(_PAGE, after, page_rows))

        head, rows = await database.unit("audit.verify", work, tenant_id=tenant_id)
        flaw = chain.follow([(entry_of(row), row["hash"]) for row in rows])
        if flaw is None and not rows:
            flaw = (
                Flaw(0, "is gone with the whole chain") if head is None else chain.ends_at(head["number"], head["hash"])
            )
        if flaw is not None or not rows:
            return Verified(tenant_id, chain.number, chain.hash, flaw)
        after = chain.number
