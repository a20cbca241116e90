"""One call of an operation, and when it may be made again. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from urllib.parse import quote
from uuid import UUID

from .errors import Problem
from .model import Wish, in_utc

TRIES = 5
_FIRST_PAUSE_S = 0.5
_NOT_DONE = frozenset({429})
_PERHAPS_DONE = frozenset({408, 502, 503, 504})
_HARMLESS = frozenset({"GET", "PUT", "DELETE"})

Value = str | int | bool | UUID | date | datetime | Sequence[str] | None


@dataclass(frozen=True)
class Call:
    """What is asked for. What is None in the query or the headers is not sent."""

    method: str
    path: str
    query: Mapping[str, Value] = field(default_factory=dict)
    body: Wish | bytes | Mapping[str, str] | None = None
    """Of these, a mapping is sent as a form."""
    media_type: str = "application/json"
    if_match: str | None = None
    if_none_match: str | None = None
    idempotency_key: UUID | None = None
    is_kept: bool = False
    """Whether its answer has an ETag, by which it need not be sent twice."""

    @property
    def is_repeatable(self) -> bool:
        """Whether it does the same, however often it arrives."""
        return self.idempotency_key is not None or (self.method in _HARMLESS and self.if_match is None)

    def parameters(self) -> dict[str, str]:
        """The query as it is sent. Raises ValueError for a time without a zone."""
        return {name: _text(value) for name, value in self.query.items() if value is not None}


def segment(text: str) -> str:
    """A text as one step of a path."""
    return quote(text, safe="")


def pause_before(call: Call, tries: int, problem: Problem | None) -> float | None:
    """How long to wait, in seconds, before the call is made again after so many tries; None: not at all.

    `problem` is the server's refusal; without one the line broke.
    """
    if tries >= TRIES:
        return None
    status = None if problem is None else problem.status
    if status not in _NOT_DONE and not (call.is_repeatable and (status is None or status in _PERHAPS_DONE)):
        return None
    if problem is not None and problem.retry_after_s is not None:
        return float(problem.retry_after_s)
    return float(_FIRST_PAUSE_S * 2 ** (tries - 1))


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return in_utc(value)
    if isinstance(value, str | int | UUID | date):
        return str(value)
    return ",".join(value or ())
