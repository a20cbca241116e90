"""Spans of time that a query asks for: points in time with any offset."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

from cloud.web import invalid


def _moment(told: object) -> object:
    """In UTC. The + of an offset may have come as a blank."""
    if not isinstance(told, str):
        return told
    at = datetime.fromisoformat(told.strip().replace(" ", "+"))
    if at.tzinfo is None or not 1 < at.year < 9999:
        raise ValueError("must have an offset, as in 2026-01-31T12:00:00Z")
    return at.astimezone(UTC)


Moment = Annotated[datetime, BeforeValidator(_moment), Field(examples=["2026-01-31T12:00:00Z"])]
"""Of a query string: ISO 8601 with an offset."""

From = Annotated[Moment, Field(alias="from", description="Then or later.")]
To = Annotated[Moment, Field(alias="to", description="Before then.")]


def require_span(since: datetime, until: datetime, longest: timedelta) -> None:
    """Raises Refused unless `until` is later than `since`, by `longest` at most."""
    if not timedelta(0) < until - since <= longest:
        raise invalid("to", f"must be after `from`, by at most {longest.days} days")
