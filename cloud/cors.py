"""Which pages of other origins may call the API from a browser: an exact list, and no cookies unless listed too."""

from quart import Quart, Response, request

from cloud.live import LiveSettings

API = "/v1/"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match",
    "Access-Control-Max-Age": "600",
}
_EXPOSED = (
    "Content-Disposition, ETag, Idempotency-Replayed, Larder-As-Of, Location, RateLimit, RateLimit-Limit,"
    " RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id"
)


class Cors:
    """Answers preflights, and says of each answer under /v1 whether the page that asked may read it."""

    def __init__(self, live: LiveSettings) -> None:
        self._live = live

    def install(self, app: Quart) -> None:
        """Before whatever asks who it is: a preflight carries no credentials."""
        app.before_request(self._answer_preflight)
        app.after_request(self._allow)

    async def _answer_preflight(self) -> Response | None:
        asked = "Origin" in request.headers and "Access-Control-Request-Method" in request.headers
        if request.method != "OPTIONS" or not asked or not request.path.startswith(API):
            return None
        listed = request.headers["Origin"] in self._live.now.cors_origins
        return Response(status=204, headers=_PREFLIGHT if listed else {})

    async def _allow(self, response: Response) -> Response:
        live, origin = self._live.now, request.headers.get("Origin")
        if not request.path.startswith(API) or not live.cors_origins:
            return response
        response.vary.add("Origin")
        if origin in live.cors_origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
            if origin in live.cors_credentials_origins:
                response.headers["Access-Control-Allow-Credentials"] = "true"
        return response
