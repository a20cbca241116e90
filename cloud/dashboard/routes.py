"""The orders page, its login, and the stream that tells it to look again."""

import asyncio
from dataclasses import dataclass
from functools import partial

from quart import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.gate import COOKIE
from cloud.auth.identity import Identity
from cloud.auth.service import Position, positions
from cloud.clock import Clock
from cloud.dashboard.sign_in import SignInPages
from cloud.dashboard.streams import Streams
from cloud.dashboard.wording import install_filters
from cloud.database import Database, Transaction
from cloud.errors import Unauthenticated
from cloud.operations import Access, current_operator, operation
from cloud.orders.service import OrderQuery, order_page
from cloud.permissions import Permission
from cloud.throttle import Throttle
from cloud.watch import Watch
from cloud.web import read_query
from shared.contract import Message

EVENTS = "/orders/events"
PAGE_ROWS = 25


@dataclass(frozen=True)
class OrdersView:
    """What the orders page shows."""

    page: Message
    gateways: list[Position]


class Dashboard:
    """Pages for operators."""

    def __init__(
        self, database: Database, identity: Identity, watch: Watch, clock: Clock, draining: asyncio.Event
    ) -> None:
        self._database = database
        self._identity = identity
        self._streams = Streams(watch, draining)
        self._clock = clock

    @operation(Access.PUBLIC)
    async def home(self) -> PlainResponse:
        """GET /: the one page there is."""
        return redirect("/orders")

    @operation(Permission.ORDERS_READ)
    async def orders(self) -> str:
        """GET /orders: the newest orders, and how far each gateway has been heard."""
        operator = current_operator()
        query = read_query(OrderQuery).model_copy(update={"limit": PAGE_ROWS})

        async def work(transaction: Transaction) -> OrdersView:
            return OrdersView(await order_page(transaction, query), await positions(transaction))

        view = await self._database.unit("dashboard.orders", work, caller=operator)
        return await render_template(
            "orders.html", view=view, now=self._clock.now(), first_page="cursor" not in request.args
        )

    @operation(Permission.ORDERS_READ)
    async def events(self) -> Response:
        """GET /orders/events: one server-sent event whenever the tenant's orders have moved."""
        operator = current_operator()
        holds = partial(self._holds, request.cookies[COOKIE])
        answer = Response(self._streams.follow(operator.tenant_id, holds), mimetype="text/event-stream")
        answer.timeout = None
        return answer

    async def _holds(self, secret: str) -> bool:
        try:
            person = await self._identity.sessions.person(secret, is_seen=False)
        except Unauthenticated:
            return False
        return person.operator is not None and Permission.ORDERS_READ in person.operator.permissions


def blueprint(
    database: Database, identity: Identity, throttle: Throttle, watch: Watch, clock: Clock, draining: asyncio.Event
) -> Blueprint:
    """All pages."""
    pages = Blueprint(
        "dashboard", __name__, template_folder="templates", static_folder="static", static_url_path="/assets"
    )
    dashboard = Dashboard(database, identity, watch, clock, draining)
    pages.add_url_rule("/", view_func=dashboard.home)
    SignInPages(identity, throttle).register(pages)
    pages.add_url_rule("/orders", view_func=dashboard.orders, endpoint="orders")
    pages.add_url_rule(EVENTS, view_func=dashboard.events)
    pages.before_request(_ignore_ranges)
    pages.register_error_handler(Unauthenticated, _ask_to_sign_in)
    install_filters(pages)
    return pages


async def _ignore_ranges() -> None:
    """As RFC 9110 (14.2) allows: all we have is small, and a range that does not fit would be one more error."""
    request.headers.pop("Range", None)


async def _ask_to_sign_in(error: Unauthenticated) -> PlainResponse | Response:
    """A person is shown where to; a stream is told that it has ended."""
    if request.path == EVENTS:
        return Response(error.detail, error.status)
    return redirect("/login")
