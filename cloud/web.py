"""How requests are read and answered: bounded bodies, strict messages and queries, RFC 9457 problems."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from pydantic import ValidationError
from quart import Response, request

from cloud.clock import Clock
from cloud.errors import LarderError, Refused, TooManyRequests, Unauthenticated, Unavailable
from cloud.scrubbing import where_card
from shared.contract import Message
from shared.errors import Code, FieldError, Problem

M = TypeVar("M", bound=Message)

MAX_JSON_BYTES = 64 * 1024
MAX_FORM_FIELDS = 600
CHUNK_SECONDS = 10.0
BODY_SECONDS = 60.0
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""As JSON spells it; Postgres can hold no text with it."""


async def body_chunks(limit: int, seconds: float = BODY_SECONDS) -> AsyncGenerator[bytes, None]:
    """The request's body as it comes, at most `limit` bytes. Raises Refused when it is larger, stalls or is late."""
    if (request.content_length or 0) > limit:
        raise Refused(Code.TOO_LARGE, f"At most {limit} bytes are accepted here.", status=413)
    loop = asyncio.get_running_loop()
    taken, end = 0, loop.time() + seconds
    chunks = aiter(request.body)
    while True:
        try:
            async with asyncio.timeout_at(min(end, loop.time() + CHUNK_SECONDS)):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise Refused(Code.TIMEOUT, "The body did not come in time.", status=408) from error
        if chunk is None:
            return
        taken += len(chunk)
        if taken > limit:
            raise Refused(Code.TOO_LARGE, f"At most {limit} bytes are accepted here.", status=413)
        yield chunk


async def read_message(model: type[M], limit: int = MAX_JSON_BYTES) -> M:
    """The JSON body as a message. Raises Refused with the field paths that are wrong."""
    if request.mimetype != "application/json":
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, "Send application/json.", status=415)
    return parse(model, b"".join([chunk async for chunk in body_chunks(limit)]))


async def read_form(most_fields: int = MAX_FORM_FIELDS, limit: int = MAX_JSON_BYTES) -> list[tuple[str, str]]:
    """The fields of an HTML form, in order; a name may come more than once. Raises Refused."""
    if request.mimetype != "application/x-www-form-urlencoded":
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, "Send application/x-www-form-urlencoded.", status=415)
    body = b"".join([chunk async for chunk in body_chunks(limit)])
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=most_fields, errors="strict")
    except ValueError:  # no UTF-8, or too many
        raise Refused(Code.MALFORMED_BODY, "The form cannot be read.", status=400) from None
    if any("\0" in text for field in fields for text in field):
        raise Refused(Code.MALFORMED_BODY, "The form contains the character NUL.", status=400)
    return fields


def parse(model: type[M], text: bytes) -> M:
    """`text` as a message. Raises Refused."""
    try:
        parsed = model.model_validate_json(text)
    except ValidationError as error:
        raise _refusal(error) from None
    json.loads(text, object_pairs_hook=_each_once)
    if (path := where_card(text)) is not None:
        raise invalid(path, "looks like the number of a payment card: those are taken nowhere here")
    if _NUL.search(text) and (path := _path_of_nul(json.loads(text))) is not None:
        raise invalid(path.removeprefix("."), "contains the character NUL")
    return parsed


def _each_once(fields: list[tuple[str, object]]) -> dict[str, object]:
    """Else the last one counts here, and perhaps the first one wherever the body was looked at before."""
    found: dict[str, object] = {}
    for name, value in fields:
        if name in found:
            raise invalid(name, "is given more than once")
        found[name] = value
    return found


def _path_of_nul(value: object, path: str = "") -> str | None:
    """Where the first text with a NUL lies, each step after a dot. A name with one is no field of ours."""
    if isinstance(value, str):
        return path if "\0" in value else None
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = (path if "\0" in str(name) else _path_of_nul(item, f"{path}.{name}") for name, item in steps)
    return next((found for found in inner if found is not None), None)


def read_query(model: type[M]) -> M:
    """The query string as a message, each parameter given once at most. Raises Refused with those that are wrong."""
    given = request.args.to_dict(flat=False)
    for name, values in given.items():
        if len(values) > 1:
            raise invalid(name, "is given more than once")
        if "\0" in values[0]:
            raise invalid(name, "contains the character NUL")
    try:
        return model.model_validate_strings({name: values[0] for name, values in given.items()})
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> Refused:
    details = error.errors(include_input=False, include_url=False, include_context=False)
    if details[0]["type"] == "json_invalid":
        return Refused(Code.MALFORMED_BODY, "The body is not valid JSON.", status=400)
    fields = tuple(FieldError(path=".".join(map(str, d["loc"])), message=d["msg"]) for d in details[:20])
    if fields[0].path == "v":
        return Refused(Code.UNKNOWN_VERSION, "This version of the message is not spoken here.", errors=fields)
    return Refused(Code.VALIDATION_FAILED, "Some fields are wrong.", errors=fields)


def bearer() -> str:
    """The token of the Authorization header. Raises Unauthenticated."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send Authorization: Bearer.")
    return token


def answer(message: Message, status: int = 200) -> Response:
    """A plain resource."""
    return Response(message.model_dump_json(), status=status, mimetype="application/json")


def problem(error: LarderError, request_id: str, clock: Clock) -> Response:
    """The error as problem details. A refused token also gets the time, for a gateway whose clock knows none."""
    found = Problem(
        type=f"/docs/problems/{error.code}",
        title=error.code.replace("_", " "),
        status=error.status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
        errors=error.errors if isinstance(error, Refused) else (),
    )
    body = found.model_dump(mode="json")
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
        body["server_time"] = clock.now().isoformat()
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(Unavailable.retry_after_s)
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_s)
    structlog.get_logger().info("request_refused", problem=error.code, status=error.status)
    return Response(json.dumps(body), status=error.status, mimetype="application/problem+json", headers=headers)


def invalid(path: str, message: str) -> Refused:
    """One field is wrong."""
    return Refused(Code.VALIDATION_FAILED, "Some fields are wrong.", errors=(FieldError(path=path, message=message),))


def as_id(path: str, text: str) -> UUID:
    """`text` as an id. Raises Refused that names the field."""
    try:
        return UUID(text)
    except ValueError:
        raise invalid(path, "is no id") from None


def is_digest(text: str) -> bool:
    """Whether it is 32 bytes as lower-case hex: what a path may say."""
    return _DIGEST.fullmatch(text) is not None
