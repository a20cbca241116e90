"""Orders: taken from facts in whole batches, or over from before Larder, and shown to people.

Those of before count in the sums of sales as orders and as money, never as units: nobody knows what fell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.database import Row, Transaction, columns, values
from cloud.errors import FactRefused
from cloud.exports import ExportFormat
from cloud.lists import PageQuery, read_page
from cloud.orders import models
from cloud.orders.models import OrderFilters, OrderPage, OrderRow
from cloud.orders.rules import STATES, OrderRail, OrderStep, VendStep, order_steps, vend_steps
from cloud.sales import service as sales
from cloud.sales.rules import Placed, Tally, placed_at
from shared.orders import OrderPlaced, OrderState
from shared.sync import Fact

_ORDERS = """
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, placed_at,
                        state, captured_minor, given_back_minor, ended_at)
    SELECT $1, id, machine_id, rail, currency, total, version, placed_at,
           state, coalesce(captured, 0), coalesce(given_back, 0), ended_at
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::integer[], $8::timestamptz[],
                $9::text[], $10::bigint[], $11::bigint[], $12::timestamptz[])
        AS u (id, machine_id, rail, currency, total, version, placed_at, state, captured, given_back, ended_at)
"""
_VENDS = """
    INSERT INTO vends (tenant_id, order_id, position, id, slot, product_id, product_name, price_minor,
                       state, device_id, device_epoch, device_seq, requested_at,
                       cancel_reason, outcome, evidence, resolved_at, dispensed_unpaid)
    SELECT $1, order_id, position, id, slot, product_id, product_name, price_minor,
           coalesce(state, 'waiting'), device_id, device_epoch, device_seq, requested_at,
           cancel_reason, outcome, evidence, resolved_at, dispensed_unpaid
    FROM unnest($2::smallint[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::bigint[], $8::uuid[],
                $9::text[], $10::uuid[], $11::integer[], $12::bigint[], $13::timestamptz[],
                $14::text[], $15::text[], $16::text[], $17::timestamptz[], $18::boolean[])
        AS u (position, id, slot, product_id, product_name, price_minor, order_id,
              state, device_id, device_epoch, device_seq, requested_at,
              cancel_reason, outcome, evidence, resolved_at, dispensed_unpaid)
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
    RETURNING orders.id, orders.machine_id, orders.placed_at, orders.currency
"""
_VEND_STEPS = """
    UPDATE vends SET
        state = CASE WHEN vends.outcome IS NULL THEN coalesce(u.state, vends.state) ELSE vends.state END,
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
    JOIN orders o ON o.id = u.order_id
    WHERE vends.id = u.id AND vends.order_id IS NOT DISTINCT FROM u.order_id
        AND (u.outcome IS NULL OR vends.outcome IS NULL) AND vends.tenant_id = o.tenant_id
    RETURNING vends.id, vends.product_id, vends.price_minor, o.machine_id, o.placed_at, o.currency
"""
"""Found by its own id alone, which tells its month: no index bears `IS NOT DISTINCT FROM`."""
_STRANGERS = """
    SELECT count(*) AS strangers FROM unnest($1::uuid[]) AS told (id) JOIN orders o ON o.id = told.id
    WHERE o.machine_id <> ALL($2::uuid[])
"""
"""Joined, so that only the months of these ids are looked into."""

_TAKEN_OVER = """
    INSERT INTO orders (tenant_id, id, machine_id, rail, currency, total_minor, planogram_version, placed_at,
                        state, captured_minor, given_back_minor, ended_at, fulfilment)
    SELECT $1, id, machine_id, rail, currency, total, 0, placed_at, state, captured, given_back, ended_at,
           'unknown_legacy'
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::text[],
                $9::bigint[], $10::bigint[], $11::timestamptz[])
        AS u (id, machine_id, rail, currency, total, placed_at, state, captured, given_back, ended_at)
"""
_TAKEN_LINES = """
    INSERT INTO order_lines (tenant_id, order_id, line, product_id, product_name, price_minor, quantity)
    SELECT $1, * FROM unnest($2::uuid[], $3::smallint[], $4::uuid[], $5::text[], $6::bigint[], $7::integer[])
"""
_TAKEN_ENDED = """
    UPDATE orders SET state = u.state, captured_minor = u.captured, given_back_minor = u.given_back,
        ended_at = u.ended_at
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[])
        AS u (id, state, captured, given_back, ended_at)
    WHERE orders.id = u.id AND orders.fulfilment = 'unknown_legacy' AND orders.state IN ('placed', 'expired')
    RETURNING orders.id, orders.machine_id, orders.placed_at, orders.currency, u.captured, u.given_back
"""
_TAKEN_DAYS = """
    SELECT (placed_at AT TIME ZONE 'UTC')::date AS day, currency, count(*) AS orders,
           sum(total_minor)::bigint AS total_minor, sum(captured_minor)::bigint AS captured_minor,
           sum(given_back_minor)::bigint AS given_back_minor
    FROM orders WHERE machine_id = $1 AND fulfilment = 'unknown_legacy' GROUP BY 1, 2 ORDER BY 1, 2
"""
DAYS_COLUMNS = ("orders", "total_minor", "captured_minor", "given_back_minor")


class OrderQuery(OrderFilters, PageQuery):
    """Orders, the newest first unless sorted otherwise."""

    row = OrderRow


class OrderExport(OrderFilters):
    """Orders as a file."""

    format: ExportFormat


@dataclass(frozen=True)
class LineTakenOver:
    """One product as it was called and cost then; `product_id` is None if it is not known any more."""

    product_id: UUID | None
    name: str
    price_minor: int
    quantity: int


@dataclass(frozen=True)
class OrderTakenOver:
    """An order of before, as far as it got. Money in minor units."""

    order_id: UUID
    machine_id: UUID
    rail: OrderRail
    currency: str
    total_minor: int
    placed_at: datetime
    state: OrderState
    captured_minor: int
    given_back_minor: int
    ended_at: datetime | None
    lines: tuple[LineTakenOver, ...]


async def order_page(transaction: Transaction, query: OrderQuery) -> OrderPage:
    """The orders that are asked for. Raises Refused for a cursor that is not theirs."""
    return await read_page(transaction, models.ORDERS, query)


async def order(transaction: Transaction, order_id: UUID) -> OrderRow:
    """One order. Raises NotFound."""
    return await models.order(transaction, order_id)


async def record(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """New orders as far as the facts took them, then the steps of older ones.

    Raises FactRefused for an order or vend that is unknown or has ended; an order told twice is an error of Postgres.
    """
    placed = [fact.body for fact in facts if fact.body.event == "order_placed"]
    steps, vends, tally = order_steps(facts), vend_steps(facts), Tally()
    if placed:
        await _insert(transaction, tenant_id, placed, steps, vends, tally)
    await _update(transaction, steps, vends, tally)
    await sales.add(transaction, tenant_id, tally)


async def _insert(
    transaction: Transaction,
    tenant_id: UUID,
    placed: Sequence[OrderPlaced],
    steps: dict[UUID, OrderStep],
    vends: dict[UUID, VendStep],
    tally: Tally,
) -> None:
    """The new orders and their vends, with their steps, which are taken out of those given."""
    taken = [(order, steps.pop(order.order_id, OrderStep())) for order in placed]
    order_rows = [(*_frozen(order), *values(step)) for order, step in taken]
    await transaction.send(_ORDERS, tenant_id, *columns(order_rows))
    vend_rows = []
    for order, step in taken:
        at = placed_at(order.machine_id, order.placed_at, order.currency)
        tally.placed(at)
        _count_end(tally, at, step)
        for position, vend in enumerate(order.vends, 1):
            vend_step = _own(vends.pop(vend.vend_id, None), order.order_id)
            _count_outcome(tally, at, vend.product_id, vend.price_minor, vend_step)
            vend_rows.append((position, *values(vend), *values(vend_step)))
    await transaction.send(_VENDS, tenant_id, *columns(vend_rows))


def _count_end(tally: Tally, order: Placed, step: OrderStep) -> None:
    if step.captured_minor is not None and step.given_back_minor is not None:
        tally.ended(order, step.captured_minor, step.given_back_minor)


def _count_outcome(tally: Tally, order: Placed, product_id: UUID, price_minor: int, step: VendStep) -> None:
    if step.outcome is not None:
        tally.resolved(order, product_id, price_minor, step.outcome)


def _own(step: VendStep | None, order_id: UUID) -> VendStep:
    if step is not None and step.order_id != order_id:
        raise FactRefused("the vend belongs to another order")
    return step or VendStep(order_id)


def _frozen(order: OrderPlaced) -> tuple[object, ...]:
    """What an order never changes, in the order of _ORDERS."""
    return (
        order.order_id,
        order.machine_id,
        order.rail,
        order.currency,
        order.total_minor,
        order.planogram_version,
        order.placed_at,
    )


async def _update(
    transaction: Transaction, steps: Mapping[UUID, OrderStep], vends: Mapping[UUID, VendStep], tally: Tally
) -> None:
    if vends:
        found = await transaction.fetch(_VEND_STEPS, *columns([(key, *values(step)) for key, step in vends.items()]))
        if len(found) != len(vends):
            raise FactRefused("the vend is unknown or has an outcome already")
        for row in found:
            _count_outcome(tally, _placed(row), row["product_id"], row["price_minor"], vends[row["id"]])
    if steps:
        rows = [(order_id, *values(step)) for order_id, step in steps.items()]
        found = await transaction.fetch(_ORDER_STEPS, list(STATES), *columns(rows))
        if len(found) != len(rows):
            raise FactRefused("the order is unknown or has ended")
        for row in found:
            _count_end(tally, _placed(row), steps[row["id"]])


def _placed(row: Row) -> Placed:
    return placed_at(row["machine_id"], row["placed_at"], row["currency"])


async def refuse_strangers(transaction: Transaction, machines: Sequence[UUID], orders: Sequence[UUID]) -> None:
    """A gateway speaks for its site only. Raises FactRefused when an order belongs to none of these machines."""
    row = await transaction.fetch_one(_STRANGERS, list(orders), list(machines))
    if row is None or row["strangers"]:
        raise FactRefused("the order belongs to another site")


async def take_over(transaction: Transaction, tenant_id: UUID, taken: Sequence[OrderTakenOver], tally: Tally) -> None:
    """Inside a unit of the tenant: orders that are not here yet. What they add to the sums goes into `tally`."""
    if not taken:
        return
    rows = [
        (o.order_id, o.machine_id, o.rail, o.currency, o.total_minor, o.placed_at, o.state, o.captured_minor,
         o.given_back_minor, o.ended_at)
        for o in taken
    ]  # fmt: skip
    await transaction.send(_TAKEN_OVER, tenant_id, *columns(rows))
    lines = [
        (order.order_id, place, line.product_id, line.name, line.price_minor, line.quantity)
        for order in taken
        for place, line in enumerate(order.lines, 1)
    ]
    for order in taken:
        at = placed_at(order.machine_id, order.placed_at, order.currency)
        tally.placed(at)
        tally.ended(at, order.captured_minor, order.given_back_minor)
    if lines:
        await transaction.send(_TAKEN_LINES, tenant_id, *columns(lines))


async def end_taken_over(transaction: Transaction, ended: Sequence[OrderTakenOver], tally: Tally) -> None:
    """Inside a unit of the tenant: orders that were open, or had expired, when they were taken over have gone on."""
    if not ended:
        return
    rows = [(o.order_id, o.state, o.captured_minor, o.given_back_minor, o.ended_at) for o in ended]
    for row in await transaction.fetch(_TAKEN_ENDED, *columns(rows)):
        at = placed_at(row["machine_id"], row["placed_at"], row["currency"])
        tally.ended(at, row["captured"], row["given_back"])


async def taken_over_days(transaction: Transaction, machine_id: UUID) -> dict[tuple[str, str], tuple[int, ...]]:
    """Inside a unit of the tenant: by day (UTC) and currency, the sums of DAYS_COLUMNS of what was taken over."""
    rows = await transaction.fetch(_TAKEN_DAYS, machine_id)
    return {(str(row["day"]), row["currency"]): tuple(row[name] for name in DAYS_COLUMNS) for row in rows}
