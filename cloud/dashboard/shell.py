"""What stands around every page: who is signed in, where they can go, what they were just told."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from quart import Blueprint, Response, has_request_context, redirect, render_template, request
from werkzeug.wrappers import Response as PlainResponse

from cloud import web
from cloud.auth.gate import BY_ITSELF
from cloud.auth.visits import Visit
from cloud.dashboard import flash
from cloud.dashboard.assets import Assets
from cloud.dashboard.links import here_with, local, present_page, with_next
from cloud.dashboard.navigation import NAVIGATION, Navigation, Right
from cloud.dashboard.wording import install_filters
from cloud.errors import LarderError, Unauthenticated
from cloud.operations import Access, operation
from shared.errors import Code

Theme = Literal["system", "light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)
THEME_COOKIE = "__Host-larder-theme"
_MENDED_AT = {Code.SECOND_FACTOR_REQUIRED: "/login/code", Code.SECOND_FACTOR_MISSING: "/account/second-factor"}
_THEME_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Choice:
    """One of the tenants that somebody may act in."""

    tenant_id: str
    name: str


@dataclass(frozen=True)
class Account:
    """Whose page it is. `role` is in words; `tenants` are all that they may act in, the present one among them."""

    name: str
    role: str
    tenant_id: str
    tenants: tuple[Choice, ...]
    permissions: frozenset[Right]
    links: tuple[tuple[str, str], ...] = ()
    """Label and href of the account's own pages."""
    visit: Visit | None = None
    """By which a platform admin is here."""
    person_id: str = ""
    """By which a browser tells whose typing it keeps."""

    @property
    def tenant_name(self) -> str:
        """Of the tenant they act in now."""
        return next((choice.name for choice in self.tenants if choice.tenant_id == self.tenant_id), "")


class Shell:
    """Renders pages. `search` says whether there is a page behind the search box."""

    def __init__(self, assets: Assets, navigation: Navigation = NAVIGATION, *, search: bool = False) -> None:
        self._assets = assets
        self._navigation = navigation
        self._search = search

    def install(self, pages: Blueprint) -> None:
        """Give the blueprint's application what the templates use, and the routes that belong to no page."""
        pages.add_url_rule("/assets/<path:filename>", view_func=self._assets.serve, endpoint="assets")
        pages.add_url_rule("/theme", view_func=self.choose_theme, methods=["POST"])
        pages.add_app_template_global(here_with)
        pages.add_app_template_global(with_next)
        install_filters(pages)

    async def page(self, template: str, account: Account, *, status: int = 200, **context: Any) -> Response:
        """A page inside the shell."""
        navigation = self._navigation.seen_with(account.permissions)
        around = {
            "account": account,
            "navigation": navigation,
            "active": navigation.active(request.path),
            "search": self._search and bool(account.tenant_id),
        }
        return await self.bare(template, status=status, **around, **context)

    async def bare(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """A page for somebody who is not signed in."""
        told = None if BY_ITSELF in request.headers else flash.told()
        page = await render_template(template, told=told, theme=_theme(), themes=THEMES, assets=self._assets, **context)
        answer = Response(page, status)
        if told is not None:
            flash.forget(answer)
        return answer

    async def problem(self, error: LarderError, request_id: str) -> Response | PlainResponse:
        """What a person sees in place of a page that cannot be shown: why, or where they can mend it first."""
        place = "/login" if isinstance(error, Unauthenticated) else _MENDED_AT.get(error.code)
        if place is None or request.path == place:
            return await self.bare("problem.html", status=error.status, error=error, request_id=request_id)
        where = with_next(place, present_page())
        is_form = request.method == "POST" and place != "/login"
        return flash.lead(where, "Then do it once more.", "plain") if is_form else redirect(where)

    @operation(Access.PUBLIC)
    async def choose_theme(self) -> PlainResponse:
        """POST /theme: keep the choice, and return to where it was made."""
        form = dict(await web.read_form())
        answer = redirect(local(form.get("back", "/")), 303)
        if form.get("theme") in THEMES:
            answer.set_cookie(
                THEME_COOKIE, form["theme"], max_age=_THEME_SECONDS, secure=True, httponly=True, samesite="Strict"
            )
        return answer


def wants_page() -> bool:
    """Whether a person's browser asks, for something to look at."""
    if not has_request_context():  # a WebSocket's
        return False
    return "text/html" in request.headers.get("Accept", "") and not request.path.startswith("/v1/")


def _theme() -> str:
    """What was chosen before, else what the system says."""
    chosen = request.cookies.get(THEME_COOKIE, "system")
    return chosen if chosen in THEMES else "system"
