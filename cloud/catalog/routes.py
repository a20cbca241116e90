"""GET /v1/catalog/products."""

from uuid import UUID

from quart import Blueprint, Response, request

from cloud.catalog.service import ProductRow, products
from cloud.database import Database, Transaction
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer, as_id, decode_cursor, encode_cursor, page_size
from shared.contract import Message


class ProductPage(Message):
    """A page of products by name."""

    products: tuple[ProductRow, ...]
    next_cursor: str | None


def blueprint(database: Database) -> Blueprint:
    """The product route."""
    routes = Blueprint("catalog", __name__, url_prefix="/catalog")

    @routes.get("/products")
    @operation(Permission.CATALOG_READ)
    async def list_products() -> Response:
        operator = current_operator()
        limit, after = page_size(), ("", UUID(int=0))
        if "cursor" in request.args:
            name, product_id = decode_cursor(request.args["cursor"], 2)
            after = (name, as_id("cursor", product_id))

        async def work(transaction: Transaction) -> list[ProductRow]:
            return await products(transaction, after, limit + 1)

        rows = await database.unit("catalog.products", work, caller=operator)
        shown = rows[:limit]
        more = encode_cursor([shown[-1].name, str(shown[-1].product_id)]) if len(rows) > limit else None
        return answer(ProductPage(products=tuple(shown), next_cursor=more))

    return routes
