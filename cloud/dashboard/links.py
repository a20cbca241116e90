"""Addresses of our own pages."""

from urllib.parse import urlencode

from quart import current_app, request
from werkzeug.exceptions import HTTPException


def here_with(**changes: str | None) -> str:
    """This page's address with other parameters in its query; None takes one away."""
    query = {**request.args.to_dict(), **changes}
    kept = urlencode([(name, value) for name, value in query.items() if value is not None])
    return f"{request.path}?{kept}" if kept else request.path


def local(address: str) -> str:
    """The address if it is one of our own, else the home page: nobody is led elsewhere by a link they were sent."""
    # Browsers read a backslash as a slash, and leave out tabs and line ends.
    is_ours = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if is_ours else "/"


def with_next(address: str, following: str) -> str:
    """The address of a page that leads on to another one of ours afterwards."""
    return address if following == "/" else f"{address}?{urlencode({'next': following})}"


def following() -> str:
    """Where the page at hand should lead on to, as its address or its form says; else home."""
    return local(request.args.get("next", "/"))


def present_page() -> str:
    """The page that is asked for; of a form's request the page it stands on, or one above."""
    if request.method in {"GET", "HEAD"}:
        return here_with()
    pages, path = current_app.url_map.bind(""), request.path
    while path:
        try:
            pages.match(path, method="GET")
        except HTTPException:
            path = path.rpartition("/")[0]
        else:
            return path
    return "/"
