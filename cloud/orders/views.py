"""Orders as operators see them."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cloud.database import Transaction
from cloud.errors import NotFound
from cloud.web import decode_cursor, encode_cursor, invalid
from shared.contract import Currency, Instant, Message, Minor, Name, Rail, SlotCode
from shared.orders import OrderState, VendOutcome

_ROWS = """
    SELECT o.id, o.machine_id, m.name AS machine_name, o.state, o.rail, o.currency, o.total_minor, o.captured_minor,
           o.given_back_minor, o.planogram_version, o.placed_at, o.ended_at, o.received_at, (
               SELECT json_agg(json_build_object(
                   'slot', l.slot, 'product_id', l.product_id, 'product_name', l.product_name,
                   'price_minor', l.price_minor, 'quantity', l.quantity, 'vends', (
                       SELECT json_agg(json_build_object(
                           'vend_id', v.id, 'state', v.state, 'outcome', v.outcome,
                           'dispensed_unpaid', v.dispensed_unpaid, 'evidence', v.evidence) ORDER BY v.id)
                       FROM vends v
                       WHERE v.tenant_id = l.tenant_id AND v.order_id = l.order_id AND v.line = l.line)
                   ) ORDER BY l.line)
               FROM order_lines l WHERE l.tenant_id = o.tenant_id AND l.order_id = o.id) AS lines
    FROM orders o JOIN machines m ON m.tenant_id = o.tenant_id AND m.id = o.machine_id
"""
LIST = f"""
    {_ROWS} WHERE (o.placed_at, o.id) < ($1, $2) ORDER BY o.placed_at DESC, o.id DESC LIMIT $3
"""
LIST_OF_MACHINE = f"""
    {_ROWS} WHERE o.machine_id = $4 AND (o.placed_at, o.id) < ($1, $2) ORDER BY o.placed_at DESC, o.id DESC LIMIT $3
"""
NEWEST = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
_ONE = f"{_ROWS} WHERE o.id = $1"


class VendRow(Message):
    """One unit. `evidence` is JSON as the device told it."""

    vend_id: UUID
    state: str
    outcome: VendOutcome | None
    dispensed_unpaid: bool
    evidence: str | None


class LineRow(Message):
    """Units of one product from one slot."""

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


class OrderPage(Message):
    """A page of orders, newest first. `next_cursor` is None on the last one."""

    orders: tuple[OrderRow, ...]
    next_cursor: str | None


def read_cursor(text: str | None) -> tuple[datetime, UUID]:
    """Where the page before ended. Raises Refused."""
    if text is None:
        return NEWEST
    placed_at, order_id = decode_cursor(text, 2)
    try:
        return datetime.fromisoformat(placed_at).astimezone(UTC), UUID(order_id)
    except ValueError as error:
        raise invalid("cursor", "is not one of ours") from error


def page_of(rows: list[OrderRow], limit: int) -> OrderPage:
    """A page from `limit` + 1 rows."""
    shown = rows[:limit]
    last = encode_cursor([shown[-1].placed_at.isoformat(), str(shown[-1].order_id)]) if len(rows) > limit else None
    return OrderPage(orders=tuple(shown), next_cursor=last)


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
    row = await transaction.fetch_one(_ONE, order_id)
    if row is None:
        raise NotFound
    return _order(row)


def _order(row: Mapping[str, Any]) -> OrderRow:
    fields = dict(row)
    fields["order_id"] = fields.pop("id")
    fields["lines"] = json.loads(fields["lines"])
    return OrderRow.model_validate(fields, strict=False)
