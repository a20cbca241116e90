"""The table: which events go to which feature, in which order.

A later row may build on an earlier one. Within a row a whole batch is one call. The order is safe because no event
of an earlier row can follow, for the same thing, one of a later row.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import asyncpg

from cloud.database import Transaction
from cloud.devices import service as devices
from cloud.errors import FactRefused
from cloud.inventory import service as inventory
from cloud.orders import service as orders
from cloud.payments import service as payments
from shared.sync import Fact

Handler = Callable[[Transaction, UUID, Sequence[Fact]], Awaitable[None]]

PROJECTIONS: tuple[tuple[Handler, frozenset[str]], ...] = (
    (devices.record_steps, frozenset({"device_claimed", "device_link_changed"})),
    (orders.record_placed, frozenset({"order_placed"})),
    (payments.record_attempts, frozenset({"payment_attempted"})),
    (payments.record_credits, frozenset({"credit_inserted"})),
    (
        payments.record_steps,
        frozenset({"payment_authorised", "payment_captured", "payment_given_back", "payment_voided"}),
    ),
    (
        orders.record_vend_steps,
        frozenset({"vend_requested", "vend_cancel_requested", "vend_resolved", "vend_dispensed_unpaid"}),
    ),
    (inventory.record_movements, frozenset({"stock_moved"})),
    (inventory.record_slots, frozenset({"stock_moved", "slot_suspected", "slot_sensed"})),
    (orders.record_order_steps, frozenset({"payment_authorised", "vend_requested", "order_ended"})),
)

POISON = (FactRefused, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, ValueError)
"""What is wrong with a fact itself. Any other error stops the batch: it will be sent again."""


async def project(transaction: Transaction, tenant_id: UUID, machines: frozenset[UUID], facts: Sequence[Fact]) -> None:
    """Let facts of one site's gateway take effect. Raises one of POISON, or what the database raises."""
    _refuse_strange_machines(machines, facts)
    for handler, events in PROJECTIONS:
        concerned = [fact for fact in facts if fact.body.event in events]
        if concerned:
            await handler(transaction, tenant_id, concerned)
    order_ids = {getattr(fact.body, "order_id", None) for fact in facts} - {None}
    if order_ids:
        await orders.refuse_strangers(transaction, list(machines), [o for o in order_ids if o is not None])


def _refuse_strange_machines(machines: frozenset[UUID], facts: Sequence[Fact]) -> None:
    for fact in facts:
        machine_id = getattr(fact.body, "machine_id", None)
        if machine_id is not None and machine_id not in machines:
            raise FactRefused(f"machine {machine_id} is not of this site")
