"""How a page gets its place."""

from collections.abc import Awaitable, Callable
from typing import Any

from quart import Blueprint


def add_page(pages: Blueprint, path: str, view: Callable[..., Awaitable[Any]], method: str = "GET") -> None:
    """Serve a view at `path`, under the name of its class and its own."""
    pages.add_url_rule(path, endpoint=view.__qualname__.replace(".", "_"), view_func=view, methods=[method])
