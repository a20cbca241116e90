"""Erasing people: on their request, when a tenant's time for them is over, and once more in a restored backup.

What is personal goes, with all notes, links to orders and originals from LowDB; the orders stay, of nobody. A row
without anything in it stays, too: its id, when it was erased, and why.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Actor, system
from cloud.clock import Clock
from cloud.contacts import service as contacts
from cloud.customers import service as customers
from cloud.customers.rules import outlived
from cloud.customers.service import Because
from cloud.database import Database, Transaction
from cloud.errors import NotFound
from cloud.lowdb import forgetting as originals
from shared.contract import Instant, Message

AT_ONCE = 100
"""In one unit of work; each adds an entry to the audit log."""

_TENANTS = "SELECT id FROM all_tenants() AS t (id) ORDER BY id"


class Erased(Message):
    """Somebody who was erased, as a line of a file that outlives a backup."""

    tenant_id: UUID
    customer_id: UUID
    erased_at: Instant
    erased_because: Because


async def erase(
    transaction: Transaction, actor: Actor, tenant_id: UUID, customer_id: UUID, because: Because, at: datetime
) -> bool:
    """Inside a unit of the tenant: whether there was anything left to erase. Raises NotFound."""
    if not await customers.empty(transaction, customer_id, because, at):
        return False
    await contacts.forget(transaction, customer_id)
    await originals.forget(transaction, customer_id, because, at)
    subject, told = Subject(SubjectKind.CUSTOMER, customer_id), {"because": because.value}
    await audit.record(transaction, actor, tenant_id, AuditAction.CUSTOMER_ERASED, subject, after=told)
    return True


class Eraser:
    """Looks after the customers of all tenants, one tenant after the other."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def erase_outlived(self) -> int:
        """Erase whose tenant's time for them is over; how many."""
        erased = 0
        for tenant_id in await self._tenants():
            work = partial(self._erase_some, tenant_id)
            while found := await self._database.unit("erasure.retention", work, tenant_id=tenant_id):
                erased += found
        return erased

    async def erased(self) -> AsyncIterator[Erased]:
        """All who were erased."""
        for tenant_id in await self._tenants():
            found = await self._database.unit("erasure.list", customers.erased, tenant_id=tenant_id)
            for customer_id, at, because in found:
                yield Erased(tenant_id=tenant_id, customer_id=customer_id, erased_at=at, erased_because=because)

    async def apply(self, lines: Sequence[Erased]) -> int:
        """Erase those of them who are there again; how many. Of whom nothing is known, nothing is to be erased."""
        again = 0
        for line in lines:
            again += await self._database.unit("erasure.apply", partial(_apply, line), tenant_id=line.tenant_id)
        return again

    async def _erase_some(self, tenant_id: UUID, transaction: Transaction) -> int:
        now = self._clock.now()
        found = await customers.outlived(transaction, now, AT_ONCE)
        for customer_id in found:
            await erase(transaction, system("retention"), tenant_id, customer_id, Because.RETENTION, now)
        keep_days = (await customers.settings_of(transaction)).keep_days
        await originals.forget_nobodys(transaction, outlived(now, keep_days), now)
        return len(found)

    async def _tenants(self) -> list[UUID]:
        async def work(transaction: Transaction) -> list[UUID]:
            return [row["id"] for row in await transaction.fetch(_TENANTS)]

        return await self._database.unit("erasure.tenants", work)


async def _apply(line: Erased, transaction: Transaction) -> bool:
    actor = system("erasures apply")
    try:
        return await erase(transaction, actor, line.tenant_id, line.customer_id, line.erased_because, line.erased_at)
    except NotFound:
        return False
