"""Quart with a deadline for each request, and a bound on how many are in progress at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from quart import Quart
from quart.ctx import RequestContext
from quart.globals import request_ctx
from quart.typing import ResponseReturnValue, ResponseTypes
from quart.wrappers import Request

from cloud.errors import Refused, Unavailable
from cloud.live import LiveSettings
from shared.errors import Code

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

REQUEST_SECONDS = 10.0
HEALTH = "/health/"
_TOO_LONG = "This took too long. It may have happened all the same."
_ATTRIBUTE = "larder_deadline"


def deadline(seconds: float | None) -> Callable[[F], F]:
    """Declare that the decorated view may take so long; with None that it keeps deadlines of its own."""

    def declare(view: F) -> F:
        setattr(view, _ATTRIBUTE, seconds)
        return view

    return declare


class BoundedApp(Quart):
    """A view that is late is cancelled and answered for with 504. Units of work it has begun go on to their end.

    What a view streams comes after it, and WebSockets are no requests: neither is meant.
    """

    live: LiveSettings
    request_seconds: float = REQUEST_SECONDS
    in_progress: int = 0

    async def handle_request(self, request: Request) -> ResponseTypes:
        """Counted, whatever becomes of it."""
        self.in_progress += 1
        try:
            return await super().handle_request(request)
        finally:
            self.in_progress -= 1

    async def preprocess_request(self, request_context: RequestContext | None = None) -> ResponseReturnValue | None:
        """What comes before the view. Raises Unavailable when there is too much to do, Refused (504)."""
        context = request_context or request_ctx._get_current_object()  # type: ignore[attr-defined]
        if self.in_progress > self.live.now.max_requests and not context.request.path.startswith(HEALTH):
            raise Unavailable
        return await self._in_time(context, super().preprocess_request(context))

    async def dispatch_request(self, request_context: RequestContext | None = None) -> ResponseReturnValue:
        """The view. Raises Refused (504)."""
        context = request_context or request_ctx._get_current_object()  # type: ignore[attr-defined]
        return await self._in_time(context, super().dispatch_request(context))

    async def _in_time(self, context: RequestContext, work: Awaitable[T]) -> T:
        view = self.view_functions.get(context.request.endpoint or "")
        seconds = getattr(view, _ATTRIBUTE, self.request_seconds)
        try:
            async with asyncio.timeout(seconds) as until:
                return await work
        except TimeoutError:
            if not until.expired():
                raise
            raise Refused(Code.DEADLINE_PASSED, _TOO_LONG, status=504) from None
