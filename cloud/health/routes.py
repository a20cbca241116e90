"""GET /v1/devices/{id}/health."""

from datetime import datetime, timedelta
from uuid import UUID

from quart import Blueprint, Response, request

from cloud.database import Database, Transaction
from cloud.health.rules import EVERY
from cloud.health.service import HealthSample, samples
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer, decode_cursor, encode_cursor, invalid, page_size, query_instant
from shared.contract import Message

LONGEST = timedelta(days=400)


class HealthPage(Message):
    """A page of what is kept of a device, the oldest first."""

    samples: tuple[HealthSample, ...]
    next_cursor: str | None


def blueprint(database: Database) -> Blueprint:
    """The route of one device's health."""
    routes = Blueprint("health", __name__, url_prefix="/devices/<uuid:device_id>")

    @routes.get("/health")
    @operation(Permission.DEVICES_READ)
    async def show_health(device_id: UUID) -> Response:
        """?from=&to=&limit=&cursor=: at most 400 days."""
        operator = current_operator()
        since, until, limit = query_instant("from"), query_instant("to"), page_size()
        if not timedelta(0) < until - since <= LONGEST:
            raise invalid("to", f"must be after `from`, by at most {LONGEST.days} days")
        if "cursor" in request.args:
            since = _read_cursor(request.args["cursor"])

        async def work(transaction: Transaction) -> list[HealthSample]:
            return await samples(transaction, device_id, since, until, limit + 1)

        rows = await database.unit("health.show", work, caller=operator)
        shown = rows[:limit]
        more = encode_cursor([(shown[-1].begin_at + EVERY).isoformat()]) if len(rows) > limit else None
        return answer(HealthPage(samples=tuple(shown), next_cursor=more))

    return routes


def _read_cursor(text: str) -> datetime:
    """Where the next page begins. Raises Refused."""
    try:
        begin = datetime.fromisoformat(decode_cursor(text, 1)[0])
    except ValueError as error:
        raise invalid("cursor", "is not one of ours") from error
    if begin.tzinfo is None:
        raise invalid("cursor", "is not one of ours")
    return begin
