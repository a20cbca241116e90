"""GET /v1/orders and /v1/orders/{id}."""

from uuid import UUID

from quart import Blueprint, Response, request

from cloud.database import Database, Transaction
from cloud.operations import current_operator, operation
from cloud.orders.models import OrderRow
from cloud.orders.service import OrderPage, order, order_page, read_cursor
from cloud.permissions import Permission
from cloud.web import answer, page_size, query_id


def blueprint(database: Database) -> Blueprint:
    """The order routes."""
    routes = Blueprint("orders", __name__, url_prefix="/orders")

    @routes.get("")
    @operation(Permission.ORDERS_READ)
    async def list_orders() -> Response:
        operator = current_operator()
        before, limit, machine_id = read_cursor(request.args.get("cursor")), page_size(), query_id("machine_id")

        async def work(transaction: Transaction) -> OrderPage:
            return await order_page(transaction, before, machine_id, limit)

        return answer(await database.unit("orders.list", work, caller=operator))

    @routes.get("/<uuid:order_id>")
    @operation(Permission.ORDERS_READ)
    async def show_order(order_id: UUID) -> Response:
        operator = current_operator()

        async def work(transaction: Transaction) -> OrderRow:
            return await order(transaction, order_id)

        return answer(await database.unit("orders.show", work, caller=operator))

    return routes
