"""How a page gets its place, and which part of a list it shows."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import ValidationError
from quart import Blueprint, request

from cloud.lists import PageQuery
from cloud.web import invalid

Q = TypeVar("Q", bound=PageQuery)

PAGE_ROWS = 50


def add_page(pages: Blueprint, path: str, view: Callable[..., Awaitable[Any]], method: str = "GET") -> None:
    """Serve a view at `path`, under the name of its class and its own."""
    pages.add_url_rule(path, endpoint=view.__qualname__.replace(".", "_"), view_func=view, methods=[method])


def page_query(query: type[Q]) -> Q:
    """A page of a list from the address's `cursor` on. Raises Refused."""
    try:
        return query(limit=PAGE_ROWS, cursor=request.args.get("cursor"))
    except ValidationError:
        raise invalid("cursor", "is none of this list") from None
