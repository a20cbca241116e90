"""GET /v1/sales and /v1/sales/products."""

from datetime import date, timedelta
from uuid import UUID

from quart import Blueprint, Response

from cloud.database import Transaction
from cloud.lists import Bookmark, PageQuery, answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.reports import Reports, dated
from cloud.sales.service import By, ProductDay, SalesRow, Span, product_days, sales
from cloud.spans import From, To, require_span
from cloud.web import answer
from shared.contract import Message

LONGEST = {By.HOUR: timedelta(days=31), By.DAY: timedelta(days=400)}
_PLACE = Bookmark("product days", (date, UUID, str))
_FIRST = (date.min, UUID(int=0), "")


class Sales(Message):
    """Sums of sales, the oldest first; an hour or day without orders has none."""

    by: By
    sales: tuple[SalesRow, ...]


class SalesQuery(Message):
    """Of a time: by the hour of at most 31 days, by the day of at most 400."""

    since: From
    until: To
    by: By = By.DAY
    machine_id: UUID | None = None


class ProductDayPage(Message):
    """A page of products day by day."""

    products: tuple[ProductDay, ...]
    next_cursor: str | None


class ProductDayQuery(PageQuery):
    """Of at most 400 days."""

    row = ProductDay

    since: From
    until: To
    machine_id: UUID | None = None


def blueprint(reports: Reports) -> Blueprint:
    """The routes of sums of sales."""
    routes = Blueprint("sales", __name__, url_prefix="/sales")

    @routes.get("")
    @operation(Permission.SALES_READ, summary="Sum up sales", answers={200: Sales})
    async def show_sales(query: SalesQuery) -> Response:
        """Orders, units and money by the hour (at most 31 days) or by the day (at most 400), in UTC: for charts."""
        require_span(query.since, query.until, LONGEST[query.by])
        span = Span(query.since, query.until, query.machine_id)

        async def work(transaction: Transaction) -> list[SalesRow]:
            return await sales(transaction, span, query.by)

        report = await reports.unit("sales.show", work, caller=current_operator())
        return dated(answer(Sales(by=query.by, sales=tuple(report.value))), report.as_of)

    @routes.get("/products")
    @operation(Permission.SALES_READ, summary="Sum up sales of products", answers={200: ProductDayPage})
    async def list_products(query: ProductDayQuery) -> Response:
        """Units of each product on each day (at most 400, in UTC)."""
        require_span(query.since, query.until, LONGEST[By.DAY])
        span = Span(query.since, query.until, query.machine_id)
        after = _PLACE.read(query) or _FIRST

        async def work(transaction: Transaction) -> list[ProductDay]:
            return await product_days(transaction, span, after, query.limit + 1)

        report = await reports.unit("sales.products", work, caller=current_operator())
        shown, more = _PLACE.cut(report.value, query, lambda row: (row.day, row.product_id, row.currency))
        return dated(answer_page(ProductDayPage(products=shown, next_cursor=more), query), report.as_of)

    return routes
