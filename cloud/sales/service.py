"""Sums of sales: added to with every batch of facts, and read for charts."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from cloud.database import Transaction, columns
from cloud.sales.rules import OUTCOMES, Tally
from shared.contract import Currency, Instant, Message, Name

_UNITS = ", ".join(OUTCOMES)
_SUMS = f"orders, {_UNITS}, captured_minor, given_back_minor"
_UNIT_SUMS = f"{_UNITS}, sold_minor"
_PRODUCT_COLUMNS = 4 + len(_UNIT_SUMS.split(", "))


def _plus(sums: str) -> str:
    """The sums of the row that is kept, and those that are added."""
    return ", ".join(f"{name} = s.{name} + excluded.{name}" for name in sums.split(", "))


def _total(sums: str) -> str:
    return ", ".join(f"sum({name})::bigint AS {name}" for name in sums.split(", "))


ADD = f"""
    WITH told AS (
        SELECT * FROM unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::integer[], $6::integer[], $7::integer[],
                             $8::integer[], $9::integer[], $10::integer[], $11::bigint[], $12::bigint[])
            AS u (machine_id, hour, currency, {_SUMS})
    ), days AS (
        INSERT INTO sales_days AS s (tenant_id, machine_id, day, currency, {_SUMS})
        SELECT $1, machine_id, (hour AT TIME ZONE 'UTC')::date, currency, {_total(_SUMS)}
        FROM told GROUP BY 2, 3, 4
        ON CONFLICT ON CONSTRAINT sales_days_pkey DO UPDATE SET {_plus(_SUMS)}
    ), products AS (
        INSERT INTO product_days AS s (tenant_id, machine_id, product_id, day, currency, {_UNIT_SUMS})
        SELECT $1, * FROM unnest($13::uuid[], $14::uuid[], $15::date[], $16::text[], $17::integer[], $18::integer[],
                                 $19::integer[], $20::integer[], $21::integer[], $22::bigint[])
        ON CONFLICT ON CONSTRAINT product_days_pkey DO UPDATE SET {_plus(_UNIT_SUMS)}
    )
    INSERT INTO sales_hours AS s (tenant_id, machine_id, hour, currency, {_SUMS})
    SELECT $1, machine_id, hour, currency, {_SUMS} FROM told
    ON CONFLICT ON CONSTRAINT sales_hours_pkey DO UPDATE SET {_plus(_SUMS)}
"""  # noqa: S608  no outsider's words
"""Nobody else adds to these rows meanwhile: a machine has one gateway, whose row ingest holds locked."""
_HOURS = f"""
    SELECT hour AS at, currency, {_total(_SUMS)} FROM sales_hours WHERE hour >= $1 AND hour < $2%s
    GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608  no outsider's words
_DAYS = f"""
    SELECT day::timestamp AT TIME ZONE 'UTC' AS at, currency, {_total(_SUMS)} FROM sales_days
    WHERE day >= ($1::timestamptz AT TIME ZONE 'UTC')::date AND day < ($2::timestamptz AT TIME ZONE 'UTC')::date%s
    GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608  no outsider's words
_PRODUCTS = f"""
    SELECT s.day, s.product_id, p.name AS product_name, s.currency, {_total(_UNIT_SUMS)}
    FROM product_days s JOIN products p ON p.tenant_id = s.tenant_id AND p.id = s.product_id
    WHERE s.day >= ($1::timestamptz AT TIME ZONE 'UTC')::date AND s.day < ($2::timestamptz AT TIME ZONE 'UTC')::date
        AND (s.day, s.product_id, s.currency) > ($3, $4, $5)%s
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 4 LIMIT $6
"""  # noqa: S608  no outsider's words
HOURS, HOURS_OF_MACHINE = _HOURS % "", _HOURS % " AND machine_id = $3"
DAYS, DAYS_OF_MACHINE = _DAYS % "", _DAYS % " AND machine_id = $3"
PRODUCTS, PRODUCTS_OF_MACHINE = _PRODUCTS % "", _PRODUCTS % " AND s.machine_id = $7"


class By(StrEnum):
    """How long a time one row of sums is of, in UTC."""

    HOUR = "hour"
    DAY = "day"


class SalesRow(Message):
    """Sums of one hour or day, from `at` on, in one currency: of the orders placed then, whenever they ended.

    Units by outcome: what is not `dispensed` was not paid for. Money in minor units.
    """

    at: Instant
    currency: Currency
    orders: int
    dispensed: int
    not_started: int
    no_drop: int
    cancelled: int
    ambiguous: int
    captured_minor: int
    given_back_minor: int


class ProductDay(Message):
    """Units of one product on one day (UTC), by outcome; `sold_minor` is the prices of those dispensed."""

    day: date
    product_id: UUID
    product_name: Name
    currency: Currency
    dispensed: int
    not_started: int
    no_drop: int
    cancelled: int
    ambiguous: int
    sold_minor: int


@dataclass(frozen=True)
class Span:
    """From a point in time to before another, at one machine or at all."""

    since: datetime
    until: datetime
    machine_id: UUID | None = None


async def add(transaction: Transaction, tenant_id: UUID, tally: Tally) -> None:
    """Inside a unit of the tenant, which holds the row of the machines' gateway: add what a batch of facts came to."""
    if tally.hours:
        hours = columns([(*hour, *sums) for hour, sums in tally.hours.items()])
        products = columns([(*key, *sums) for key, sums in tally.products.items()]) or [[]] * _PRODUCT_COLUMNS
        await transaction.send(ADD, tenant_id, *hours, *products)


async def sales(transaction: Transaction, span: Span, by: By) -> list[SalesRow]:
    """Sums by the hour or the day, the oldest first. Days count whole, if they begin in the span."""
    of_all, of_machine = (HOURS, HOURS_OF_MACHINE) if by is By.HOUR else (DAYS, DAYS_OF_MACHINE)
    if span.machine_id is None:
        rows = await transaction.fetch(of_all, span.since, span.until)
    else:
        rows = await transaction.fetch(of_machine, span.since, span.until, span.machine_id)
    return [SalesRow(**row) for row in rows]


async def product_days(transaction: Transaction, span: Span, after: tuple[object, ...], limit: int) -> list[ProductDay]:
    """Products day by day, from after the given (day, product, currency) on."""
    given = (span.since, span.until, *after, limit)
    if span.machine_id is None:
        rows = await transaction.fetch(PRODUCTS, *given)
    else:
        rows = await transaction.fetch(PRODUCTS_OF_MACHINE, *given, span.machine_id)
    return [ProductDay(**row) for row in rows]
