"""The page behind the search box."""

from quart import Blueprint, Response, request

from cloud.dashboard.page import add_page
from cloud.dashboard.signed_in import SignedInPages
from cloud.database import Database, Transaction
from cloud.operations import Access, current_operator, operation
from cloud.search.service import FoundGroup, Kind, search

LONGEST = 200
SHOWN = 20
"""Of each kind."""
LABELS = {
    Kind.MACHINE: "Machines",
    Kind.SITE: "Sites",
    Kind.GATEWAY: "Gateways",
    Kind.DEVICE: "Devices",
    Kind.PRODUCT: "Products",
    Kind.USER: "Users",
    Kind.ORDER: "Orders",
}
LEADS = {
    Kind.MACHINE: ("Orders", "/orders?machine_id="),
    Kind.SITE: ("Orders", "/orders?site_id="),
    Kind.USER: ("Role", "/users/"),
}
"""What there is a page about."""


class SearchPages:
    """What was found."""

    def __init__(self, pages: SignedInPages, database: Database) -> None:
        self._pages = pages
        self._database = database

    def register(self, pages: Blueprint) -> None:
        """The one page."""
        add_page(pages, "/search", self.show)

    @operation(Access.ANY_OPERATOR)
    async def show(self) -> Response:
        """GET /search?q=."""
        operator, text = current_operator(), request.args.get("q", "").replace("\0", "").strip()[:LONGEST]

        async def work(transaction: Transaction) -> tuple[FoundGroup, ...]:
            return await search(transaction, operator.permissions, text, SHOWN)

        groups = await self._database.unit("dashboard.search", work, caller=operator) if text else ()
        return await self._pages.show("search.html", query=text, groups=groups, labels=LABELS, leads=LEADS)
