"""What a browser may do here: which names it may call us by, who may send orders, what our page may load."""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from quart import Quart, Response, g, request

from edge.kiosk.problems import Invalid
from shared.errors import Code

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def add_to(app: Quart, allowed_hosts: Iterable[str]) -> None:
    """Refuse foreign names (DNS rebinding) and foreign pages (request forgery); set the security headers."""
    names = {"localhost", *(host.lower() for host in allowed_hosts)}

    @app.before_request
    async def check() -> None:
        if not _is_ours(request.host, names):
            raise Invalid(Code.FORBIDDEN, "This gateway is not known by that name.")
        if request.method not in SAFE_METHODS and _is_foreign_page():
            raise Invalid(Code.FORBIDDEN, "Only the kiosk's own page may do that.")

    @app.after_request
    async def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers[name] = value
        if not request.path.startswith("/static/"):
            response.headers["Cache-Control"] = "no-store"
        if "request_id" in g:
            response.headers["X-Request-Id"] = g.request_id
        return response


def _is_ours(host: str, names: set[str]) -> bool:
    """Whether the Host header is an address or one of our names. An address cannot be rebound."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return False
    if name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign_page() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host
