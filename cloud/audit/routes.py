"""GET /v1/audit: who did what."""

import json
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from quart import Blueprint, Response

from cloud.audit.rules import AuditAction, SubjectKind
from cloud.audit.service import Wanted, page
from cloud.database import Database, Row, Transaction
from cloud.lists import PageQuery, answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.spans import Moment
from shared.contract import Instant, Message


class ActorShown(Message):
    """Who did it."""

    kind: str
    id: UUID
    name: str


class SubjectShown(Message):
    """What it was done to."""

    kind: str
    id: str


class AuditRow(Message):
    """An entry. `before` and `after` have only the fields that changed."""

    number: int
    at: Instant
    actor: ActorShown
    action: str
    subject: SubjectShown
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str
    address: str
    hash: str


class AuditPage(Message):
    """A page of entries, the newest first."""

    entries: tuple[AuditRow, ...]
    next_cursor: str | None


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable characters")
    return text


Words = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]


class AuditQuery(PageQuery):
    """Entries, the newest first."""

    row = AuditRow

    actor_id: UUID | None = None
    action: AuditAction | None = None
    subject_kind: SubjectKind | None = None
    subject_id: Words | None = None
    request_id: Words | None = None
    since: Annotated[Moment | None, Field(alias="from", description="Done then or later.")] = None
    until: Annotated[Moment | None, Field(alias="to", description="Done before then.")] = None
    q: Annotated[Words | None, Field(description="Beginnings of words, all of which are to be found.")] = None


def blueprint(database: Database) -> Blueprint:
    """The audit route."""
    routes = Blueprint("audit", __name__, url_prefix="/audit")

    @routes.get("")
    @operation(Permission.AUDIT_READ, summary="List audit entries", answers={200: AuditPage})
    async def list_entries(query: AuditQuery) -> Response:
        """Who did what to what, the newest first. Each entry is chained to the one before by its hash."""
        wanted = Wanted(
            actor_id=query.actor_id,
            action=query.action,
            subject_kind=query.subject_kind,
            subject_id=query.subject_id,
            request_id=query.request_id,
            since=query.since,
            until=query.until,
            q=query.q or "",
        )

        async def work(transaction: Transaction) -> AuditPage:
            rows, more = await page(transaction, wanted, query)
            return AuditPage(entries=tuple(_shown(row) for row in rows), next_cursor=more)

        return answer_page(await database.unit("audit.list", work, caller=current_operator()), query)

    return routes


def _shown(row: Row) -> AuditRow:
    return AuditRow(
        number=row["number"],
        at=row["at"],
        actor=ActorShown(kind=row["actor_kind"], id=row["actor_id"], name=row["actor_name"]),
        action=row["action"],
        subject=SubjectShown(kind=row["subject_kind"], id=row["subject_id"]),
        before=None if row["before"] is None else json.loads(row["before"]),
        after=None if row["after"] is None else json.loads(row["after"]),
        request_id=row["request_id"],
        address=row["address"],
        hash=row["hash"].hex(),
    )
