"""GET /openapi.json, and the pages that explain it: /docs and /docs/problems/{code}."""

import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from quart import Blueprint, Response, current_app, render_template

from cloud.errors import NotFound
from cloud.operations import Access, operation
from cloud.reference.document import document_of
from cloud.reference.problems import PROBLEMS
from cloud.reference.reading import chapters_of
from shared.errors import Code

_STYLESHEET = Path(__file__).parent / "static" / "reference.css"
_CODE = re.compile(r"`([^`]+)`")


class Reference:
    """The API, explained. What it shows is made once: routes do not change while a process runs."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._page: str | None = None

    def blueprint(self) -> Blueprint:
        """All pages, and the document."""
        pages = Blueprint("reference", __name__, template_folder="templates")
        pages.add_url_rule("/docs/reference.css", view_func=self.stylesheet)
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
        return Response(_STYLESHEET.read_bytes(), mimetype="text/css")

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
        return await render_template("reference/problem.html", code=code, told=PROBLEMS[Code(code)])

    def _document(self) -> dict[str, Any]:
        return document_of(current_app)


def with_code(text: str) -> Markup:
    """Text whose `words` in backticks are code, and whose paragraphs are paragraphs."""
    paragraphs = [_CODE.sub(r"<code>\1</code>", str(escape(part))) for part in text.strip().split("\n\n")]
    return Markup("".join(f"<p>{part}</p>" for part in paragraphs))  # noqa: S704  escaped above
