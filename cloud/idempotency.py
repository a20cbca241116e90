"""Requests that take effect once, however often they come."""

from uuid import UUID

from quart import request

from cloud.errors import Refused
from shared.errors import Code

HEADER = "Idempotency-Key"


def idempotency_key() -> UUID:
    """By which the caller knows this request again. Raises Refused without one."""
    try:
        return UUID(request.headers.get(HEADER, ""))
    except ValueError:
        raise Refused(Code.IDEMPOTENCY_KEY_MISSING, f"Send an {HEADER} header with a UUID.", status=400) from None
