"""GET /v1/inventory."""

from functools import partial

from quart import Blueprint, Response

from cloud.database import Database
from cloud.inventory.service import StockPage, StockQuery, stock_page
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission


def blueprint(database: Database) -> Blueprint:
    """The stock route."""
    routes = Blueprint("inventory", __name__, url_prefix="/inventory")

    @routes.get("")
    @operation(Permission.INVENTORY_READ, summary="List stock", answers={200: StockPage})
    async def list_stock(query: StockQuery) -> Response:
        """What lies in each slot: the sum of its movements, and what people and sensors say of it."""
        work = partial(stock_page, query=query)
        return answer_page(await database.unit("inventory.list", work, caller=current_operator()), query)

    return routes
