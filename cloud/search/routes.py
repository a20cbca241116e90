"""GET /v1/search."""

from typing import Annotated

from pydantic import Field, StringConstraints
from quart import Blueprint, Response

from cloud.database import Database, Transaction
from cloud.operations import Access, current_operator, operation
from cloud.search.service import MOST, FoundGroup, search
from cloud.web import answer
from shared.contract import Message


class SearchQuery(Message):
    """What is looked for."""

    q: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=200)],
        Field(description="Beginnings of words, all of which must be there, or of an id (eight digits at least)."),
    ]
    limit: Annotated[int, Field(ge=1, le=MOST, description="The most of each kind.")] = 10


class SearchResult(Message):
    """By kind; those of which nothing was found, or which the caller may not see, are left out."""

    groups: tuple[FoundGroup, ...]


def blueprint(database: Database) -> Blueprint:
    """The one route."""
    routes = Blueprint("search", __name__)

    @routes.get("/search")
    @operation(Access.ANY_OPERATOR, summary="Search", answers={200: SearchResult})
    async def find(query: SearchQuery) -> Response:
        """Machines, sites, gateways, devices, products and users by name, users by address, all but users by id."""
        operator = current_operator()

        async def work(transaction: Transaction) -> SearchResult:
            return SearchResult(groups=await search(transaction, operator.permissions, query.q, query.limit))

        return answer(await database.unit("search", work, caller=operator))

    return routes
