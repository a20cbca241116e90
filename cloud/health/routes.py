"""GET /v1/devices/{id}/health."""

from datetime import datetime, timedelta
from uuid import UUID

from quart import Blueprint, Response

from cloud.database import Database, Transaction
from cloud.health.rules import EVERY
from cloud.health.service import HealthSample, samples
from cloud.lists import Bookmark, PageQuery, answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.spans import From, To, require_span
from shared.contract import Instant, Message

LONGEST = timedelta(days=400)
_PLACE = Bookmark("health", (Instant,))


class HealthPage(Message):
    """A page of what is kept of a device, the oldest first."""

    samples: tuple[HealthSample, ...]
    next_cursor: str | None


class HealthQuery(PageQuery):
    """Of at most 400 days."""

    row = HealthSample

    since: From
    until: To


def blueprint(database: Database) -> Blueprint:
    """The route of one device's health."""
    routes = Blueprint("health", __name__, url_prefix="/devices/<uuid:device_id>")

    @routes.get("/health")
    @operation(Permission.DEVICES_READ, summary="Show the health of a device over time", answers={200: HealthPage})
    async def show_health(device_id: UUID, query: HealthQuery) -> Response:
        """What it measured, five minutes a row, the oldest first: at most 400 days."""
        require_span(query.since, query.until, LONGEST)
        since = query.since
        match _PLACE.read(query, device_id=device_id):
            case (datetime() as last,):
                since = min(last, query.until) + EVERY

        async def work(transaction: Transaction) -> list[HealthSample]:
            return await samples(transaction, device_id, since, query.until, query.limit + 1)

        found = await database.unit("health.show", work, caller=current_operator())
        shown, more = _PLACE.cut(found, query, lambda row: (row.begin_at,), device_id=device_id)
        return answer_page(HealthPage(samples=shown, next_cursor=more), query)

    return routes
