"""Nothing is sent twice to whom has it, and nothing overwritten that the writer has not seen (RFC 9110, section 13)."""

import hashlib
from dataclasses import dataclass

from quart import Response, request
from werkzeug.datastructures import ETags

from cloud.errors import Refused
from cloud.operations import current_operation
from shared.contract import Message
from shared.errors import Code


def tag_of(text: str | bytes) -> str:
    """The strong ETag of a body, without its quotes."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:32]


async def tag(response: Response) -> Response:
    """After a request whose route is conditional: an ETag, and 304 without a body for whom has it.

    A view that knows a strong ETag of its own, and for how long it is good, has said both.
    """
    declared = current_operation()
    if declared is None or not declared.conditional or response.status_code not in {200, 304}:
        return response
    if response.headers.get("ETag") is None:
        response.set_etag(tag_of(await response.get_data(as_text=False)))
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.vary.update(("Authorization", "Cookie"))
    return await response.make_conditional(request)


def is_known(etag: str) -> bool:
    """Whether whoever asks has what is known by this strong ETag."""
    return request.if_none_match.contains(etag)


@dataclass(frozen=True)
class Precondition:
    """Which states of a thing its writer has seen; without If-Match, whichever there is."""

    seen: ETags | None = None

    def require(self, current: Message) -> None:
        """`current` is what a GET would answer now, its row locked. Raises Refused (412) if it was not seen."""
        if self.seen is None or self.seen.star_tag or self.seen.is_strong(tag_of(current.model_dump_json())):
            return
        raise Refused(Code.PRECONDITION_FAILED, "It has changed since. Read it again.", status=412)


ANY = Precondition()
"""Whatever there is."""


def precondition() -> Precondition:
    """That of this request."""
    return Precondition(request.if_match if "If-Match" in request.headers else None)
