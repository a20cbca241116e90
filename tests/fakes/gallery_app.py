"""Every component of the dashboard on pages of its own, for people to look at and tests to try: never in production.

`python -m tests.fakes.gallery_app PORT` serves them on loopback.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from quart import Blueprint, Quart, Response, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.app import HEADERS
from cloud.auth.gate import refuse_other_origins
from cloud.dashboard import shell
from cloud.dashboard.assets import Assets
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.navigation import Group, Link, Navigation
from cloud.dashboard.shell import Account, Choice, Shell
from cloud.permissions import Permission
from tests.fakes.served import on_a_port

MADE = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
TEMPLATES = Path(__file__).parent / "gallery"


def link(label: str, href: str, icon: str, key: str = "") -> Link:
    return Link(label, href, icon, Permission.ORDERS_READ, key)


NAVIGATION = Navigation(
    (
        Group("Gallery", (link("Components", "/gallery", "box", "c"), link("Tables", "/tables", "list", "t"))),
        Group(
            "Sales",
            (
                link("Orders", "/orders", "receipt", "o"),
                link("Machines", "/machines", "machine", "m"),
                link("Stock", "/stock", "box"),
            ),
        ),
        Group("Business", (link("Users and roles", "/users", "users", "u"), link("API keys", "/keys", "key"))),
    )
)
ACCOUNT = Account(
    "Asha Verma",
    "Owner",
    "1",
    (Choice("1", "Chai & Chips Vending"), Choice("2", "Northern Snacks"), Choice("3", "Zest Coffee")),
    frozenset(Permission),
    (("Sessions", "/sessions"), ("Second factor", "/second-factor")),
)


@dataclass(frozen=True)
class Machine:
    """A row."""

    name: str
    site: str
    state: str
    sales_minor: int
    seen_at: datetime | None


MACHINES = [
    Machine(
        f"{place}, machine {n}", site, state, 125050 * n, None if state == "new" else datetime(2026, 3, n, tzinfo=UTC)
    )
    for place, site, state in (
        ("Lobby", "Pune, Hinjawadi phase 2", "selling"),
        ("Canteen on the second floor", "Bengaluru, Whitefield", "offline"),
        ("Library", "Delhi, North Campus", "new"),
    )
    for n in range(1, 5)
]


class Gallery:
    """The pages, and what they count."""

    def __init__(self) -> None:
        self._shell = Shell(Assets(), NAVIGATION, search=True)
        self.posts = 0
        self.polls = 0
        self.is_away = False

    def app(self) -> Quart:
        app = Quart("gallery", root_path=str(TEMPLATES), template_folder=".", static_folder=None)
        pages = Blueprint("gallery", shell.__name__, template_folder="templates")
        self._shell.install(pages)
        pages.add_url_rule("/", view_func=self.components)
        pages.add_url_rule("/gallery", view_func=self.components, endpoint="components")
        pages.add_url_rule("/tables", view_func=self.tables)
        pages.add_url_rule("/login", view_func=self.login)
        pages.add_url_rule("/gallery", view_func=self.invite, methods=["POST"])
        pages.add_url_rule("/job", view_func=self.job)
        pages.add_url_rule("/job/events", view_func=self.events)
        for group in NAVIGATION.groups[1:]:
            for page in group.links:
                pages.add_url_rule(page.href, endpoint=page.href[1:], view_func=self.empty)
        pages.add_url_rule("/search", view_func=self.empty)
        app.before_request(own_forms_only)
        app.register_blueprint(pages)
        app.after_request(guarded)
        return app

    async def components(self) -> Response:
        form = Form({"email": ["asha@"], "role": ["operator"], "rights": ["orders"]}, prefix="shown")
        form = form.wrong("email", "Write the whole address, such as asha@example.com.")
        form = form.wrong("rights", "Choose a right that an operator may have.")
        return await self._shell.page("components.html", ACCOUNT, form=Form(), shown=form, made_at=MADE)

    async def invite(self) -> PlainResponse | Response:
        """Refuses what has no @."""
        self.posts += 1
        form = await read_form()
        if "@" not in form.get("email"):
            wrong = form.wrong("email", "Write the whole address, such as asha@example.com.")
            shown = Form(prefix="shown")
            return await self._shell.page("components.html", ACCOUNT, form=wrong, shown=shown, made_at=MADE, status=422)
        return lead("/tables", f"{form.get('email')} is invited.")

    async def tables(self) -> Response:
        sort = request.args.get("sort", "name")
        key = {"name": "name", "sales": "sales_minor"}[sort.removeprefix("-")]
        rows = sorted(MACHINES, key=lambda machine: getattr(machine, key), reverse=sort.startswith("-"))
        return await self._shell.page("tables.html", ACCOUNT, rows=rows, sort=sort)

    async def login(self) -> Response:
        return await self._shell.bare("sign_in.html", form=Form())

    async def empty(self) -> Response:
        return await self._shell.page("empty.html", ACCOUNT)

    async def job(self) -> Response:
        """A job that ends with the third look at it; nobody can look while the server is away."""
        if self.is_away:
            return Response("", status=503)
        self.polls += 1
        done = min(400 * self.polls, 1200)
        told = {"done": done, "total": 1200, "state": "done" if done == 1200 else "running", "detail": ""}
        return Response(json.dumps(told), mimetype="application/json")

    async def events(self) -> Response:
        return Response(self._told(), mimetype="text/event-stream")

    async def _told(self) -> AsyncIterator[bytes]:
        for done, state, detail in ((3, "running", ""), (7, "failed", "Line 8 names no product of yours.")):
            told = {"done": done, "total": 10, "state": state, "detail": detail}
            yield f"event: progress\ndata: {json.dumps(told)}\n\n".encode()


async def own_forms_only() -> None:
    """As the gate of production has it."""
    if request.method == "POST":
        refuse_other_origins()


async def guarded(response: Response) -> Response:
    """As strict as in production."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@asynccontextmanager
async def running_gallery(port: int = 0) -> AsyncIterator[tuple[Gallery, str]]:
    """The gallery and where it is."""
    gallery = Gallery()
    async with on_a_port(gallery.app(), wanted=port) as taken:
        yield gallery, f"http://127.0.0.1:{taken}"


async def main() -> None:
    async with running_gallery(int(sys.argv[1])) as (_, url):
        print(url)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
