"""Every error as RFC 9457 problem details: a stable code, a request id, field paths, and nothing of our inside."""

from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

import structlog
from pydantic import ValidationError
from quart import Quart, Response, g, request
from werkzeug.exceptions import HTTPException

from edge.clock import new_id
from edge.errors import LarderError, Refused, Unavailable
from shared.contract import Message
from shared.errors import Code, FieldError, Problem

M = TypeVar("M", bound=Message)

CODES = {
    HTTPStatus.BAD_REQUEST: Code.MALFORMED_BODY,
    HTTPStatus.NOT_FOUND: Code.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Code.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_TIMEOUT: Code.TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Code.UNSUPPORTED_MEDIA_TYPE,
}
STATUSES = {
    Code.UNKNOWN_MACHINE: HTTPStatus.NOT_FOUND,
    Code.UNKNOWN_ORDER: HTTPStatus.NOT_FOUND,
    Code.MALFORMED_BODY: HTTPStatus.BAD_REQUEST,
    Code.IDEMPOTENCY_KEY_MISSING: HTTPStatus.BAD_REQUEST,
    Code.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Code.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Code.SOLD_OUT: HTTPStatus.CONFLICT,
    Code.SLOT_SUSPECT: HTTPStatus.CONFLICT,
    Code.SLOT_LOCKED: HTTPStatus.CONFLICT,
    Code.PRICE_CHANGED: HTTPStatus.CONFLICT,
    Code.OUT_OF_SERVICE: HTTPStatus.CONFLICT,
    Code.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
}
"""Of refusals; any other is 422, and what is unavailable is 503."""

RETRY_AFTER_S = "2"

log = structlog.get_logger()


class Invalid(Refused):
    """A request's fields are wrong; `errors` says which."""

    def __init__(self, code: Code, detail: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(code, detail)
        self.errors = errors


def answer(message: Message, status: int = 200) -> Response:
    """A plain resource."""
    return Response(message.to_line(), status=status, content_type="application/json")


async def read_body(model: type[M]) -> M:
    """The JSON body as a message. Raises Invalid."""
    if request.mimetype != "application/json":
        raise Invalid(Code.UNSUPPORTED_MEDIA_TYPE, "Send application/json.")
    try:
        return model.model_validate_json(await request.get_data())
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)[:20]
    if found[0]["type"] == "json_invalid":
        raise Invalid(Code.MALFORMED_BODY, "The body is not valid JSON.")
    fields = tuple(FieldError(path=".".join(map(str, one["loc"])), message=one["msg"]) for one in found)
    raise Invalid(Code.VALIDATION_FAILED, "Some fields are wrong.", fields)


def read_idempotency_key() -> UUID:
    """The Idempotency-Key header. Raises Invalid."""
    text = request.headers.get("Idempotency-Key")
    if text is None:
        raise Invalid(Code.IDEMPOTENCY_KEY_MISSING, "Send an Idempotency-Key header with a UUID.")
    try:
        return UUID(text)
    except ValueError:
        fields = (FieldError(path="Idempotency-Key", message="must be a UUID"),)
        raise Invalid(Code.VALIDATION_FAILED, "Some fields are wrong.", fields) from None


def add_to(app: Quart) -> None:
    """Give each request an id, and let nothing but problem details leave when it fails."""

    @app.before_request
    async def number() -> None:
        g.request_id = str(new_id())

    @app.errorhandler(LarderError)
    async def expected(error: LarderError) -> Response:
        later = isinstance(error, Unavailable)
        status = HTTPStatus.SERVICE_UNAVAILABLE if later else STATUSES.get(error.code, HTTPStatus.UNPROCESSABLE_ENTITY)
        fields = error.errors if isinstance(error, Invalid) else ()
        return _problem(status, error.code, error.detail, fields)

    @app.errorhandler(HTTPException)
    async def by_framework(error: HTTPException) -> Response:
        status = HTTPStatus(error.code or 500)
        return _problem(status, CODES.get(status, Code.INTERNAL), status.phrase)

    @app.errorhandler(Exception)
    async def unexpected(error: Exception) -> Response:
        log.error("request_failed", request_id=g.request_id, path=request.path, exc_info=error)
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, Code.INTERNAL, "Something went wrong here.")


def _problem(status: HTTPStatus, code: Code, detail: str, errors: tuple[FieldError, ...] = ()) -> Response:
    request_id = g.get("request_id", "")
    title = code.replace("_", " ")
    problem = Problem(title=title, status=status, code=code, detail=detail, request_id=request_id, errors=errors)
    response = Response(problem.to_line(), status=status, content_type="application/problem+json")
    if status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
        response.headers["Retry-After"] = RETRY_AFTER_S
    log.info("request_refused", code=code, status=int(status), path=request.path, request_id=request_id)
    return response
