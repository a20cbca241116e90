"""GET /v1/inventory."""

from uuid import UUID

from quart import Blueprint, Response, request

from cloud.database import Database, Transaction
from cloud.inventory.service import StockLevel, levels
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer, as_id, decode_cursor, encode_cursor, page_size, query_id
from shared.contract import Message


class StockPage(Message):
    """A page of stock by machine and slot."""

    stock: tuple[StockLevel, ...]
    next_cursor: str | None


def blueprint(database: Database) -> Blueprint:
    """The stock route."""
    routes = Blueprint("inventory", __name__, url_prefix="/inventory")

    @routes.get("")
    @operation(Permission.INVENTORY_READ)
    async def list_stock() -> Response:
        operator = current_operator()
        limit, machine_id, after = page_size(), query_id("machine_id"), (UUID(int=0), "")
        if "cursor" in request.args:
            last_machine, slot = decode_cursor(request.args["cursor"], 2)
            after = (as_id("cursor", last_machine), slot)

        async def work(transaction: Transaction) -> list[StockLevel]:
            return await levels(transaction, after, machine_id, limit + 1)

        rows = await database.unit("inventory.list", work, caller=operator)
        shown = rows[:limit]
        more = encode_cursor([str(shown[-1].machine_id), shown[-1].slot]) if len(rows) > limit else None
        return answer(StockPage(stock=tuple(shown), next_cursor=more))

    return routes
