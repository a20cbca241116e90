"""GET /v1/catalog/products."""

from functools import partial

from quart import Blueprint, Response

from cloud.catalog.service import ProductPage, ProductQuery, product_page
from cloud.database import Database
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission


def blueprint(database: Database) -> Blueprint:
    """The product route."""
    routes = Blueprint("catalog", __name__, url_prefix="/catalog")

    @routes.get("/products")
    @operation(Permission.CATALOG_READ, summary="List products", answers={200: ProductPage})
    async def list_products(query: ProductQuery) -> Response:
        """What the tenant sells, by name."""
        work = partial(product_page, query=query)
        return answer_page(await database.unit("catalog.products", work, caller=current_operator()), query)

    return routes
