"""GET /v1/orders and /v1/orders/{id}."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.database import Database
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.orders.models import OrderPage, OrderRow
from cloud.orders.service import OrderQuery, order, order_page
from cloud.permissions import Permission
from cloud.web import answer


def blueprint(database: Database) -> Blueprint:
    """The order routes."""
    routes = Blueprint("orders", __name__, url_prefix="/orders")

    @routes.get("")
    @operation(Permission.ORDERS_READ, summary="List orders", answers={200: OrderPage})
    async def list_orders(query: OrderQuery) -> Response:
        """Orders with their lines and vends, the newest first."""
        work = partial(order_page, query=query)
        return answer_page(await database.unit("orders.list", work, caller=current_operator()), query)

    @routes.get("/<uuid:order_id>")
    @operation(Permission.ORDERS_READ, summary="Show an order", answers={200: OrderRow}, conditional=True)
    async def show_order(order_id: UUID) -> Response:
        """One order with its lines, its vends and what its devices saw of them."""
        work = partial(order, order_id=order_id)
        return answer(await database.unit("orders.show", work, caller=current_operator()))

    return routes
