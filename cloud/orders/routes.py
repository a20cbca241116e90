"""GET /v1/orders and /v1/orders/{id}."""

from uuid import UUID

from quart import Blueprint, Response, request

from cloud.auth.service import AuthService
from cloud.database import Database, Transaction
from cloud.orders.models import OrderRow
from cloud.orders.service import OrderPage, order, order_page, read_cursor
from cloud.web import answer, bearer, page_size, query_id


def blueprint(database: Database, auth: AuthService) -> Blueprint:
    """The order routes."""
    routes = Blueprint("orders", __name__, url_prefix="/orders")

    @routes.get("")
    async def list_orders() -> Response:
        operator = await auth.operator(bearer())
        before, limit, machine_id = read_cursor(request.args.get("cursor")), page_size(), query_id("machine_id")

        async def work(transaction: Transaction) -> OrderPage:
            return await order_page(transaction, before, machine_id, limit)

        return answer(await database.unit("orders.list", work, tenant_id=operator.tenant_id))

    @routes.get("/<uuid:order_id>")
    async def show_order(order_id: UUID) -> Response:
        operator = await auth.operator(bearer())

        async def work(transaction: Transaction) -> OrderRow:
            return await order(transaction, order_id)

        return answer(await database.unit("orders.show", work, tenant_id=operator.tenant_id))

    return routes
