"""The device that an operator does something with."""

from uuid import UUID

from cloud.auth.service import Operator
from cloud.database import Row, Transaction
from cloud.errors import NotFound

_DEVICE = """
    SELECT d.id, d.machine_id, m.site_id, (SELECT name FROM api_keys WHERE id = $2) AS asked_by FROM devices d
    JOIN machines m ON m.tenant_id = d.tenant_id AND m.id = d.machine_id WHERE d.id = $1 FOR UPDATE OF d
"""


async def device_for(transaction: Transaction, operator: Operator, device_id: UUID) -> Row:
    """Its row, locked, with its machine, its site and the operator's name (`asked_by`). Raises NotFound."""
    row = await transaction.fetch_one(_DEVICE, device_id, operator.api_key_id)
    if row is None:
        raise NotFound
    return row
