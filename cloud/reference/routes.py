"""GET /openapi.json, the pages that explain it, /docs and /docs/problems/{code}, and the client to download."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from quart import Blueprint, Response, current_app, render_template

from cloud.errors import NotFound
from cloud.operations import Access, operation
from cloud.reference.client.naming import class_of
from cloud.reference.client.package import archive
from cloud.reference.document import document_of, problem_example
from cloud.reference.problems import PROBLEMS
from cloud.reference.reading import chapters_of, entries_with
from shared.errors import Code

_STATIC = Path(__file__).parent / "static"
_FIRST_PROGRAM = """\
import os

from larder_client import Client

with Client(os.environ["LARDER"], os.environ["TOKEN"]) as client:
    for order in client.orders.list():
        print(order.placed_at, order.machine_name, order.total_minor / 100, order.currency)"""
_CODE = re.compile(r"`([^`]+)`")


class Reference:
    """The API, explained. What it shows is made once: routes do not change while a process runs."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url.rstrip("/")
        self._built: dict[str, Any] | None = None
        self._text: str | None = None
        self._page: str | None = None
        self._client: bytes | None = None

    def blueprint(self) -> Blueprint:
        """All pages, and the document."""
        pages = Blueprint("reference", __name__, template_folder="templates")
        pages.add_url_rule("/docs/reference.css", view_func=self.stylesheet)
        pages.add_url_rule("/docs/reference.js", view_func=self.script)
        pages.add_url_rule("/docs/larder-client.zip", view_func=self.client)
        pages.add_url_rule("/openapi.json", view_func=self.openapi)
        pages.add_url_rule("/docs", view_func=self.docs)
        pages.add_url_rule("/docs/problems", view_func=self.problems)
        pages.add_url_rule("/docs/problems/<code>", view_func=self.problem)
        pages.add_app_template_filter(with_code)
        return pages

    @operation(Access.PUBLIC)
    async def openapi(self) -> Response:
        """The document."""
        if self._text is None:
            self._text = json.dumps(self._document(), separators=(",", ":"))
        return Response(self._text, mimetype="application/json")

    @operation(Access.PUBLIC)
    async def stylesheet(self) -> Response:
        """How these pages look."""
        return Response((_STATIC / "reference.css").read_bytes(), mimetype="text/css")

    @operation(Access.PUBLIC)
    async def script(self) -> Response:
        """Their buttons to copy."""
        return Response((_STATIC / "reference.js").read_bytes(), mimetype="text/javascript")

    @operation(Access.PUBLIC)
    async def client(self) -> Response:
        """The typed client, which pip installs from here."""
        if self._client is None:
            self._client = await asyncio.to_thread(archive, self._document())
        headers = {"Content-Disposition": 'attachment; filename="larder-client.zip"'}
        return Response(self._client, mimetype="application/zip", headers=headers)

    @operation(Access.PUBLIC)
    async def docs(self) -> str:
        """All operations on one page."""
        if self._page is None:
            document = self._document()
            self._page = await render_template(
                "reference/docs.html",
                info=document["info"],
                schemes=document["components"]["securitySchemes"],
                chapters=chapters_of(document),
                where=self._public_url,
                first_program=_FIRST_PROGRAM,
            )
        return self._page

    @operation(Access.PUBLIC)
    async def problems(self) -> str:
        """All codes of problems."""
        return await render_template("reference/problems.html", problems=PROBLEMS)

    @operation(Access.PUBLIC)
    async def problem(self, code: str) -> str:
        """What one code means, and what to do. Raises NotFound."""
        if code not in set(Code):
            raise NotFound
        return await render_template(
            "reference/problem.html",
            code=code,
            told=PROBLEMS[Code(code)],
            shown=json.dumps(problem_example(Code(code)), indent=2),
            name=class_of(code),
            entries=entries_with(self._document(), code),
        )

    def _document(self) -> dict[str, Any]:
        """Built once: it takes a tenth of a second, and anybody may ask for it."""
        if self._built is None:
            self._built = document_of(current_app)
        return self._built


def with_code(text: str) -> Markup:
    """Text whose `words` in backticks are code, and whose paragraphs are paragraphs."""
    paragraphs = [_CODE.sub(r"<code>\1</code>", str(escape(part))) for part in text.strip().split("\n\n")]
    return Markup("".join(f"<p>{part}</p>" for part in paragraphs))  # noqa: S704  escaped above
