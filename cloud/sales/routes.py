"""GET /v1/sales and /v1/sales/products."""

from datetime import date, timedelta
from uuid import UUID

from quart import Blueprint, Response, request

from cloud.database import Database, Transaction
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.sales.service import By, ProductDay, SalesRow, Span, product_days, sales
from cloud.web import answer, as_id, decode_cursor, encode_cursor, invalid, page_size, query_id, query_instant
from shared.contract import Message

LONGEST = {By.HOUR: timedelta(days=31), By.DAY: timedelta(days=400)}


class Sales(Message):
    """Sums of sales, the oldest first; an hour or day without orders has none."""

    by: By
    sales: tuple[SalesRow, ...]


class ProductPage(Message):
    """A page of products day by day."""

    products: tuple[ProductDay, ...]
    next_cursor: str | None


def blueprint(database: Database) -> Blueprint:
    """The routes of sums of sales."""
    routes = Blueprint("sales", __name__, url_prefix="/sales")

    @routes.get("")
    @operation(Permission.SALES_READ)
    async def show_sales() -> Response:
        """?from=&to=&by=hour|day&machine_id=: by the hour at most 31 days, by the day at most 400."""
        operator = current_operator()
        by = _by(request.args.get("by", By.DAY))
        span = _span(LONGEST[by])

        async def work(transaction: Transaction) -> list[SalesRow]:
            return await sales(transaction, span, by)

        rows = await database.unit("sales.show", work, caller=operator)
        return answer(Sales(by=by, sales=tuple(rows)))

    @routes.get("/products")
    @operation(Permission.SALES_READ)
    async def list_products() -> Response:
        """?from=&to=&machine_id=&limit=&cursor=: at most 400 days."""
        operator = current_operator()
        span, limit, after = _span(LONGEST[By.DAY]), page_size(), _read_cursor(request.args.get("cursor"))

        async def work(transaction: Transaction) -> list[ProductDay]:
            return await product_days(transaction, span, after, limit + 1)

        rows = await database.unit("sales.products", work, caller=operator)
        shown = rows[:limit]
        more = None
        if len(rows) > limit:
            more = encode_cursor([shown[-1].day.isoformat(), str(shown[-1].product_id), shown[-1].currency])
        return answer(ProductPage(products=tuple(shown), next_cursor=more))

    return routes


def _by(text: str) -> By:
    try:
        return By(text)
    except ValueError as error:
        raise invalid("by", "must be hour or day") from error


def _span(longest: timedelta) -> Span:
    """The query's span. Raises Refused."""
    span = Span(query_instant("from"), query_instant("to"), query_id("machine_id"))
    if not timedelta(0) < span.until - span.since <= longest:
        raise invalid("to", f"must be after `from`, by at most {longest.days} days")
    return span


def _read_cursor(text: str | None) -> tuple[date, UUID, str]:
    if text is None:
        return date.min, UUID(int=0), ""
    day, product_id, currency = decode_cursor(text, 3)
    try:
        return date.fromisoformat(day), as_id("cursor", product_id), currency
    except ValueError as error:
        raise invalid("cursor", "is not one of ours") from error
