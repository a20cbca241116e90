"""Orders: taken from facts in whole batches, and shown to people."""

from collections.abc import Sequence
from dataclasses import astuple
from uuid import UUID

from cloud.database import Transaction, columns
from cloud.errors import FactRefused
from cloud.orders.rules import STATES, lines_of, order_steps, vend_steps
from shared.orders import OrderPlaced
from shared.sync import Fact

_ORDERS = """
    INSERT INTO orders (tenant_id, state, id, machine_id, rail, currency, total_minor, planogram_version, placed_at)
    SELECT $1, 'placed', * FROM unnest(
        $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::integer[], $8::timestamptz[])
"""
_LINES = """
    INSERT INTO order_lines (tenant_id, order_id, line, slot, product_id, product_name, price_minor, quantity)
    SELECT $1, * FROM unnest(
        $2::uuid[], $3::smallint[], $4::text[], $5::uuid[], $6::text[], $7::bigint[], $8::integer[])
"""
_VENDS = """
    INSERT INTO vends (tenant_id, state, id, order_id, line)
    SELECT $1, 'waiting', * FROM unnest($2::uuid[], $3::uuid[], $4::smallint[])
"""
_ORDER_STEPS = """
    UPDATE orders SET
        state = CASE WHEN array_position($1::text[], u.state) > array_position($1, orders.state)
                THEN u.state ELSE orders.state END,
        captured_minor = coalesce(u.captured, captured_minor),
        given_back_minor = coalesce(u.given_back, given_back_minor),
        ended_at = coalesce(u.ended_at, orders.ended_at)
    FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[])
        AS u (id, state, captured, given_back, ended_at)
    WHERE orders.id = u.id AND orders.ended_at IS NULL
"""
_VEND_STEPS = """
    UPDATE vends SET
        state = coalesce(u.state, vends.state),
        device_id = coalesce(u.device_id, vends.device_id),
        device_epoch = coalesce(u.device_epoch, vends.device_epoch),
        device_seq = coalesce(u.device_seq, vends.device_seq),
        requested_at = coalesce(u.requested_at, vends.requested_at),
        cancel_reason = coalesce(u.cancel_reason, vends.cancel_reason),
        outcome = coalesce(u.outcome, vends.outcome),
        evidence = coalesce(u.evidence, vends.evidence),
        resolved_at = coalesce(u.resolved_at, vends.resolved_at),
        dispensed_unpaid = vends.dispensed_unpaid OR u.dispensed_unpaid
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::integer[], $6::bigint[], $7::timestamptz[],
                $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::boolean[])
        AS u (id, order_id, state, device_id, device_epoch, device_seq, requested_at,
              cancel_reason, outcome, evidence, resolved_at, dispensed_unpaid)
    WHERE vends.id = u.id AND vends.order_id = u.order_id AND (u.outcome IS NULL OR vends.outcome IS NULL)
"""
_STRANGERS = "SELECT count(*) AS strangers FROM orders WHERE id = ANY($1::uuid[]) AND machine_id <> ALL($2::uuid[])"


async def record_placed(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Orders with their lines and vends. An order told twice is an error of Postgres (unique key)."""
    orders = [fact.body for fact in facts if isinstance(fact.body, OrderPlaced)]
    lines = [(order.order_id, number, line) for order in orders for number, line in enumerate(lines_of(order), 1)]
    order_rows = [
        (o.order_id, o.machine_id, o.rail, o.currency, o.total_minor, o.planogram_version, o.placed_at) for o in orders
    ]
    line_rows = [
        (order_id, number, line.slot, line.product_id, line.product_name, line.price_minor, len(line.vend_ids))
        for order_id, number, line in lines
    ]
    vend_rows = [(vend_id, order_id, number) for order_id, number, line in lines for vend_id in line.vend_ids]
    await transaction.execute(_ORDERS, tenant_id, *columns(order_rows))
    await transaction.execute(_LINES, tenant_id, *columns(line_rows))
    await transaction.execute(_VENDS, tenant_id, *columns(vend_rows))


async def record_order_steps(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Authorised, dispensing, ended. Raises FactRefused for an order that is unknown or has ended."""
    rows = [(order_id, *astuple(step)) for order_id, step in order_steps(facts).items()]
    if await transaction.execute(_ORDER_STEPS, list(STATES), *columns(rows)) != len(rows):
        raise FactRefused("the order is unknown or has ended")


async def record_vend_steps(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Requested, cancelled, resolved. Raises FactRefused for a vend that is unknown or has its outcome already."""
    rows = [(vend_id, *astuple(step)) for vend_id, step in vend_steps(facts).items()]
    if await transaction.execute(_VEND_STEPS, *columns(rows)) != len(rows):
        raise FactRefused("the vend is unknown or has an outcome already")


async def refuse_strangers(transaction: Transaction, machines: Sequence[UUID], orders: Sequence[UUID]) -> None:
    """A gateway speaks for its site only. Raises FactRefused when an order belongs to none of these machines."""
    row = await transaction.fetch_one(_STRANGERS, list(orders), list(machines))
    if row is None or row["strangers"]:
        raise FactRefused("the order belongs to another site")
