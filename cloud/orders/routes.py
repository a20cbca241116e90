"""GET /v1/orders and /v1/orders/{id}."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.database import Database
from cloud.exports import export, file_of
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.orders.models import ORDER_LINES, OrderLine, OrderPage, OrderRow
from cloud.orders.service import OrderExport, OrderQuery, order, order_page
from cloud.permissions import Permission
from cloud.reports import Reports
from cloud.web import answer


def blueprint(database: Database, reports: Reports) -> Blueprint:
    """The order routes."""
    routes = Blueprint("orders", __name__, url_prefix="/orders")

    @routes.get("")
    @operation(Permission.ORDERS_READ, summary="List orders", answers={200: OrderPage})
    async def list_orders(query: OrderQuery) -> Response:
        """Orders with their lines and vends, the newest first."""
        work = partial(order_page, query=query)
        return answer_page(await database.unit("orders.list", work, caller=current_operator()), query)

    @routes.get("/export")
    @operation(Permission.ORDERS_READ, summary="Export orders", answers={200: file_of(OrderLine)})
    async def export_orders(query: OrderExport) -> Response:
        """All orders that fit, as CSV or NDJSON, as they are at this moment. Ends early if the line breaks.

        In CSV, a text that a spreadsheet might run as a formula has a `'` before it.
        """
        return await export(database, reports, ORDER_LINES, query, query.format)

    @routes.get("/<uuid:order_id>")
    @operation(Permission.ORDERS_READ, summary="Show an order", answers={200: OrderRow}, conditional=True)
    async def show_order(order_id: UUID) -> Response:
        """One order with its lines, its vends and what its devices saw of them."""
        work = partial(order, order_id=order_id)
        return answer(await database.unit("orders.show", work, caller=current_operator()))

    return routes
