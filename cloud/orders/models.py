"""Orders as they are read: one statement a page, with the vends nested in it, gathered into lines."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from cloud.database import Transaction
from cloud.errors import NotFound
from shared.contract import Currency, Instant, Message, Minor, Name, Rail, SlotCode
from shared.orders import OrderState, VendOutcome

_PAGE = """
    WITH page AS MATERIALIZED (
        SELECT o.id, o.tenant_id, o.machine_id, o.state, o.rail, o.currency, o.total_minor, o.captured_minor,
               o.given_back_minor, o.planogram_version, o.placed_at, o.ended_at, o.received_at
        FROM orders o WHERE {which}
    ), lines AS (
        SELECT v.order_id, v.slot, v.product_id, v.product_name, v.price_minor, count(*) AS quantity,
               min(v.position) AS position, json_agg(json_build_object(
                   'vend_id', v.id, 'state', v.state, 'outcome', v.outcome, 'evidence', v.evidence,
                   'dispensed_unpaid', v.dispensed_unpaid) ORDER BY v.position) AS vends
        FROM vends v WHERE v.order_id = ANY (ARRAY(SELECT id FROM page))
        GROUP BY v.order_id, v.slot, v.product_id, v.product_name, v.price_minor
    ), gathered AS (
        SELECT order_id, json_agg(json_build_object(
                   'slot', slot, 'product_id', product_id, 'product_name', product_name,
                   'price_minor', price_minor, 'quantity', quantity, 'vends', vends) ORDER BY position) AS lines
        FROM lines GROUP BY order_id
    )
    SELECT p.id, p.machine_id, p.state, p.rail, p.currency, p.total_minor, p.captured_minor, p.given_back_minor,
           p.planogram_version, p.placed_at, p.ended_at, p.received_at, coalesce(g.lines, '[]') AS lines,
           (SELECT m.name FROM machines m WHERE m.tenant_id = p.tenant_id AND m.id = p.machine_id) AS machine_name
    FROM page p LEFT JOIN gathered g ON g.order_id = p.id
    ORDER BY p.placed_at DESC, p.id DESC
"""
"""The vends of a page are asked for together: each month of them is looked into once, not once an order."""
LIST = _PAGE.format(which="(o.placed_at, o.id) < ($1, $2) ORDER BY o.placed_at DESC, o.id DESC LIMIT $3")
LIST_OF_MACHINE = _PAGE.format(
    which="o.machine_id = $4 AND (o.placed_at, o.id) < ($1, $2) ORDER BY o.placed_at DESC, o.id DESC LIMIT $3"
)
ONE = _PAGE.format(which="o.id = $1")


class VendRow(Message):
    """One unit. `evidence` is JSON as the device told it."""

    vend_id: UUID
    state: str
    outcome: VendOutcome | None
    dispensed_unpaid: bool
    evidence: str | None


class LineRow(Message):
    """Units of one product from one slot at one price."""

    slot: SlotCode
    product_id: UUID
    product_name: Name
    price_minor: Minor
    quantity: int
    vends: tuple[VendRow, ...]


class OrderRow(Message):
    """One order with its lines and vends. Money in minor units of `currency`."""

    order_id: UUID
    machine_id: UUID
    machine_name: Name
    state: OrderState
    rail: Rail
    currency: Currency
    total_minor: Minor
    captured_minor: Minor
    given_back_minor: Minor
    planogram_version: int
    placed_at: Instant
    ended_at: Instant | None
    received_at: Instant
    lines: tuple[LineRow, ...]


async def orders(
    transaction: Transaction, before: tuple[datetime, UUID], machine_id: UUID | None, limit: int
) -> list[OrderRow]:
    """Orders, newest first, from before the given (placed_at, id) on."""
    rows: Sequence[Mapping[str, Any]]
    if machine_id is None:
        rows = await transaction.fetch(LIST, *before, limit)
    else:
        rows = await transaction.fetch(LIST_OF_MACHINE, *before, limit, machine_id)
    return [_order(row) for row in rows]


async def order(transaction: Transaction, order_id: UUID) -> OrderRow:
    """One order. Raises NotFound."""
    row = await transaction.fetch_one(ONE, order_id)
    if row is None:
        raise NotFound
    return _order(row)


def _order(row: Mapping[str, Any]) -> OrderRow:
    fields = dict(row)
    fields["order_id"] = fields.pop("id")
    fields["lines"] = json.loads(fields["lines"])
    return OrderRow.model_validate(fields, strict=False)
