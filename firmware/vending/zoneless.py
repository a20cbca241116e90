"""Somebody releases a zone of a device in which nothing has to stay cold: its settings have changed since."""

from . import topics
from .messages import UNKNOWN_ZONE, request_answer


async def perform(parts, fields: dict) -> None:
    """The errand: the answer."""
    told = request_answer(parts.boot_id, fields["request_id"], "refused", UNKNOWN_ZONE)
    parts.reports.tell(topics.ANSWER, told)
