"""Orders as they are read: one statement a page, with the vends nested in it, gathered into lines."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from cloud.database import Transaction
from cloud.errors import there
from cloud.lists import Condition, Listing, Sort, Through
from cloud.orders.rules import Fulfilment, OrderRail
from shared.contract import Currency, Instant, Message, Minor, Name, SlotCode
from shared.orders import OrderState, VendOutcome

_ROWS = """
    WITH page AS MATERIALIZED (
        SELECT o.id, o.tenant_id, o.machine_id, o.state, o.rail, o.currency, o.total_minor, o.captured_minor,
               o.given_back_minor, o.planogram_version, o.fulfilment, o.placed_at, o.ended_at, o.received_at
        FROM {picked}
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
    ), taken_over AS (
        SELECT l.order_id, json_agg(json_build_object(
                   'slot', NULL, 'product_id', l.product_id, 'product_name', l.product_name,
                   'price_minor', l.price_minor, 'quantity', l.quantity, 'vends', '[]'::json) ORDER BY l.line) AS lines
        FROM order_lines l WHERE l.order_id = ANY (ARRAY(SELECT id FROM page WHERE fulfilment <> 'vends'))
        GROUP BY l.order_id
    )
    SELECT o.id, o.machine_id, o.state, o.rail, o.currency, o.total_minor, o.captured_minor, o.given_back_minor,
           o.planogram_version, o.fulfilment, o.placed_at, o.ended_at, o.received_at,
           coalesce(g.lines, t.lines, '[]') AS lines,
           (SELECT m.name FROM machines m WHERE m.tenant_id = o.tenant_id AND m.id = o.machine_id) AS machine_name
    FROM page o LEFT JOIN gathered g ON g.order_id = o.id LEFT JOIN taken_over t ON t.order_id = o.id
"""
"""The vends of a page are asked for together, not once an order: each month of them is looked into once."""
ONE = _ROWS.format(picked="orders o WHERE o.id = $1")


class VendRow(Message):
    """One unit. `evidence` is JSON as the device told it."""

    vend_id: UUID
    state: str
    outcome: VendOutcome | None
    dispensed_unpaid: bool
    evidence: str | None


class LineRow(Message):
    """Units of one product from one slot at one price.

    Of an order that was taken over nobody knows the slot, nor the product if it was deleted before; it has no vends.
    """

    slot: SlotCode | None
    product_id: UUID | None
    product_name: Name
    price_minor: Minor
    quantity: int
    vends: tuple[VendRow, ...]


_LINES = TypeAdapter(tuple[LineRow, ...])


class OrderRow(Message):
    """One order with its lines and vends. Money in minor units of `currency`."""

    order_id: UUID
    machine_id: UUID
    machine_name: Name
    state: OrderState
    rail: OrderRail
    currency: Currency
    total_minor: Minor
    captured_minor: Minor
    given_back_minor: Minor
    planogram_version: int
    fulfilment: Fulfilment
    placed_at: Instant
    ended_at: Instant | None
    received_at: Instant
    lines: tuple[LineRow, ...]


class OrderFilters(Message):
    """Which orders."""

    machine_id: UUID | None = None
    site_id: UUID | None = None
    state: OrderState | None = None
    rail: OrderRail | None = None
    placed_from: Annotated[Instant | None, Field(description="Placed then or later.")] = None
    placed_to: Annotated[Instant | None, Field(description="Placed before then.")] = None
    sort: Literal["-placed_at", "placed_at"] = "-placed_at"


class OrderLine(Message):
    """An order in one line. Money in minor units of `currency`."""

    order_id: UUID
    placed_at: Instant
    site_id: UUID
    site_name: Name
    machine_id: UUID
    machine_name: Name
    state: OrderState
    rail: OrderRail
    currency: Currency
    total_minor: Minor
    captured_minor: Minor
    given_back_minor: Minor
    planogram_version: int
    fulfilment: Fulfilment
    ended_at: Instant | None
    received_at: Instant


class OrderPage(Message):
    """A page of orders. `next_cursor` is null on the last one."""

    orders: tuple[OrderRow, ...]
    next_cursor: str | None


async def order(transaction: Transaction, order_id: UUID) -> OrderRow:
    """One order. Raises NotFound."""
    row = there(await transaction.fetch_one(ONE, order_id))
    return _order(row)


def _order(row: Mapping[str, Any]) -> OrderRow:
    fields = dict(row)
    fields["order_id"] = fields.pop("id")
    fields["lines"] = _LINES.validate_json(fields["lines"])
    return OrderRow.model_validate(fields, strict=False)


def _in_state(state: object) -> str:
    """Nearly all orders are settled; the others have a small index of their own, found by these words."""
    return "o.state = {}" if state == OrderState.SETTLED else "o.state = {} AND o.state <> 'settled'"


_BY_TIME = {"placed_at": "o.placed_at", "order_id": "o.id"}
_SORTS = {"-placed_at": Sort(_BY_TIME, descending=True), "placed_at": Sort(_BY_TIME)}
_FILTERS: Mapping[str, Condition] = {
    "machine_id": "o.machine_id = {}",
    "state": _in_state,
    "rail": "o.rail = {}",
    "placed_from": "o.placed_at >= {}",
    "placed_to": "o.placed_at < {}",
}
_THROUGH = {
    "site_id": Through("machines t", "o.tenant_id = t.tenant_id AND o.machine_id = t.id", "t.site_id = {}"),
}
ORDERS = Listing(
    name="orders",
    row=OrderRow,
    page=OrderPage,
    table="orders o",
    show=_ROWS,
    read=_order,
    sorts=_SORTS,
    filters=_FILTERS,
    through=_THROUGH,
)
ORDER_LINES = Listing(
    name="orders",
    row=OrderLine,
    page=OrderPage,
    table="orders o",
    show="""
        SELECT o.id AS order_id, o.placed_at, m.site_id, s.name AS site_name, o.machine_id, m.name AS machine_name,
               o.state, o.rail, o.currency, o.total_minor, o.captured_minor, o.given_back_minor, o.planogram_version,
               o.fulfilment, o.ended_at, o.received_at
        FROM {picked} JOIN machines m ON m.tenant_id = o.tenant_id AND m.id = o.machine_id
        JOIN sites s ON s.tenant_id = m.tenant_id AND s.id = m.site_id""",
    read=lambda row: OrderLine.model_validate(dict(row), strict=False),
    sorts=_SORTS,
    filters=_FILTERS,
    through=_THROUGH,
)
"""For exports: nothing that needs another statement's work for each order."""
