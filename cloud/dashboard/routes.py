"""The orders page, its login, and the stream that tells it to look again."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from quart import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.auth.rules import SESSION_LIFE
from cloud.auth.service import AuthService, Position, positions
from cloud.callers import Operator
from cloud.clock import Clock
from cloud.dashboard.streams import Streams
from cloud.dashboard.wording import install_filters
from cloud.database import Database, Transaction
from cloud.errors import Refused, Unauthenticated
from cloud.operations import Access, operation
from cloud.orders.service import OrderPage, order_page, read_cursor
from cloud.watch import Watch
from shared.errors import Code

COOKIE = "__Host-larder"
EVENTS = "/orders/events"
BY_ITSELF = "Larder-By-Itself"
"""The header of requests that the page makes with nobody at it."""
PAGE_ROWS = 25


@dataclass(frozen=True)
class OrdersView:
    """What the orders page shows."""

    page: OrderPage
    gateways: list[Position]


class Dashboard:
    """Pages for operators."""

    def __init__(
        self, database: Database, auth: AuthService, watch: Watch, clock: Clock, draining: asyncio.Event
    ) -> None:
        self._database = database
        self._auth = auth
        self._streams = Streams(watch, draining)
        self._clock = clock

    @operation(Access.SIGNED_IN)
    async def home(self) -> PlainResponse:
        """GET /: the one page there is."""
        return redirect("/orders")

    @operation(Access.PUBLIC)
    async def login_page(self) -> str:
        """GET /login."""
        return await render_template("login.html", refused=False)

    @operation(Access.PUBLIC)
    async def log_in(self) -> PlainResponse | Response:
        """POST /login: an API key for a session."""
        _refuse_other_origins()
        form = await request.form
        try:
            secret = await self._auth.log_in(form.get("api_key", "").strip())
        except Unauthenticated:
            return await make_response(await render_template("login.html", refused=True), 401)
        answer = redirect("/orders", 303)
        answer.set_cookie(
            COOKIE, secret, max_age=int(SESSION_LIFE.total_seconds()), secure=True, httponly=True, samesite="Strict"
        )
        return answer

    @operation(Access.PUBLIC)
    async def log_out(self) -> PlainResponse:
        """POST /logout."""
        _refuse_other_origins()
        with suppress(Unauthenticated):  # the session may have ended by itself
            await self._auth.log_out(await self._operator(), request.cookies[COOKIE])
        answer = redirect("/login", 303)
        answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict")
        return answer

    @operation(Access.SIGNED_IN)
    async def orders(self) -> str | PlainResponse:
        """GET /orders: the newest orders, and how far each gateway has been heard."""
        try:
            operator = await self._operator()
        except Unauthenticated:
            return redirect("/login")
        before = read_cursor(request.args.get("cursor"))

        async def work(transaction: Transaction) -> OrdersView:
            return OrdersView(await order_page(transaction, before, None, PAGE_ROWS), await positions(transaction))

        view = await self._database.unit("dashboard.orders", work, caller=operator)
        return await render_template(
            "orders.html", view=view, now=self._clock.now(), first_page="cursor" not in request.args
        )

    @operation(Access.SIGNED_IN)
    async def events(self) -> Response:
        """GET /orders/events: one server-sent event whenever the tenant's orders have moved."""
        operator = await self._operator()
        holds = partial(self._holds, request.cookies[COOKIE])
        answer = Response(self._streams.follow(operator.tenant_id, holds), mimetype="text/event-stream")
        answer.timeout = None
        return answer

    async def _holds(self, secret: str) -> bool:
        try:
            await self._auth.session(secret, is_seen=False)
        except Unauthenticated:
            return False
        return True

    async def _operator(self) -> Operator:
        """Raises Unauthenticated."""
        by_itself = request.path == EVENTS or BY_ITSELF in request.headers
        return await self._auth.session(request.cookies.get(COOKIE, ""), is_seen=not by_itself)


def _refuse_other_origins() -> None:
    """Unsafe methods come from our own pages only. Raises Refused.

    Browsers tell it by Sec-Fetch-Site; one too old for that tells its Origin. (Under our referrer policy a form's
    Origin is "null" even on our own pages, so it cannot be asked first.)
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None:
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    else:
        foreign = site not in {"same-origin", "none"}
    if foreign:
        raise Refused(Code.FORBIDDEN, "This form belongs to another site.", status=403)


def blueprint(database: Database, auth: AuthService, watch: Watch, clock: Clock, draining: asyncio.Event) -> Blueprint:
    """All pages."""
    pages = Blueprint(
        "dashboard", __name__, template_folder="templates", static_folder="static", static_url_path="/assets"
    )
    dashboard = Dashboard(database, auth, watch, clock, draining)
    pages.add_url_rule("/", view_func=dashboard.home)
    pages.add_url_rule("/login", view_func=dashboard.login_page, methods=["GET"])
    pages.add_url_rule("/login", view_func=dashboard.log_in, methods=["POST"])
    pages.add_url_rule("/logout", view_func=dashboard.log_out, methods=["POST"])
    pages.add_url_rule("/orders", view_func=dashboard.orders, endpoint="orders")
    pages.add_url_rule(EVENTS, view_func=dashboard.events)
    pages.before_request(_ignore_ranges)
    install_filters(pages)
    return pages


async def _ignore_ranges() -> None:
    """As RFC 9110 (14.2) allows: all we have is small, and a range that does not fit would be one more error."""
    request.headers.pop("Range", None)
