"""The orders page, and the stream that tells it to look again."""

import asyncio
from dataclasses import dataclass
from functools import partial

from quart import Blueprint, Response, request

from cloud.auth.gate import COOKIE
from cloud.auth.identity import Identity
from cloud.auth.service import Foremost, foremost
from cloud.callers import Operator
from cloud.dashboard.page import add_page
from cloud.dashboard.signed_in import SignedInPages
from cloud.dashboard.streams import Streams
from cloud.database import Transaction
from cloud.errors import Unauthenticated
from cloud.operations import current_operator, operation
from cloud.orders.service import OrderQuery, order_page
from cloud.permissions import Permission
from cloud.watch import Watch
from cloud.web import read_query
from shared.contract import Message

EVENTS = "/orders/events"
PAGE_ROWS = 25


@dataclass(frozen=True)
class OrdersView:
    """What the orders page shows."""

    page: Message
    gateways: Foremost


class OrderPages:
    """What was sold."""

    def __init__(self, pages: SignedInPages, identity: Identity, watch: Watch, draining: asyncio.Event) -> None:
        self._pages = pages
        self._identity = identity
        self._streams = Streams(watch, draining)

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, "/orders", self.orders)
        add_page(pages, EVENTS, self.events)

    @operation(Permission.ORDERS_READ)
    async def orders(self) -> Response:
        """GET /orders: the newest orders, and how far gateways have been heard."""
        query = read_query(OrderQuery).model_copy(update={"limit": PAGE_ROWS})

        async def work(transaction: Transaction) -> OrdersView:
            return OrdersView(await order_page(transaction, query), await foremost(transaction, PAGE_ROWS))

        view = await self._identity.database.unit("dashboard.orders", work, caller=current_operator())
        return await self._pages.show("orders.html", view=view, first_page="cursor" not in request.args, stream=EVENTS)

    @operation(Permission.ORDERS_READ)
    async def events(self) -> Response:
        """GET /orders/events: one server-sent event whenever the tenant's orders have moved."""
        operator = current_operator()
        holds = partial(self._holds, request.cookies[COOKIE], operator)
        answer = Response(self._streams.follow(operator.tenant_id, holds), mimetype="text/event-stream")
        answer.timeout = None
        return answer

    async def _holds(self, secret: str, began: Operator) -> bool:
        """Whether they are still signed in, in the same business, with the same rights and part of it."""
        try:
            person = await self._identity.sessions.person(secret, is_seen=False)
        except Unauthenticated:
            return False
        now = person.operator
        return now is not None and (now.tenant_id, now.role, now.scope) == (began.tenant_id, began.role, began.scope)
