"""When people are erased, what they left in originals goes: the records, and the archived files that may hold them.

The sale stays, with its lines and its money. Inside a unit of the tenant.
"""

from datetime import datetime
from uuid import UUID

from cloud import objects
from cloud.database import Transaction
from cloud.lowdb import models

AT_ONCE = 1000


async def forget(transaction: Transaction, customer_id: UUID, because: str, at: datetime) -> None:
    """A customer is erased."""
    await models.shred(transaction, await models.erase(transaction, customer_id, at, because))
    await _let_go(transaction)


async def forget_nobodys(transaction: Transaction, before: datetime, at: datetime) -> None:
    """What came before then and may say something of people who are no customers: they left no number that is one."""
    while file_ids := await models.erase_nobodys(transaction, before, at, AT_ONCE):
        await models.shred(transaction, file_ids)
    await _let_go(transaction)


async def _let_go(transaction: Transaction) -> None:
    gone = await models.unreadable(transaction)
    if gone:
        await objects.release(transaction, gone)
