"""GET /v1/audit: who did what."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from quart import Blueprint, Response, request

from cloud.audit.rules import AuditAction, SubjectKind
from cloud.audit.service import Wanted, entries
from cloud.database import Database, Row, Transaction
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer, decode_cursor, encode_cursor, invalid, page_size, query_id
from shared.contract import Instant, Message

_NEWEST = 2**63 - 1
_LONGEST = 200


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


def blueprint(database: Database) -> Blueprint:
    """The audit route."""
    routes = Blueprint("audit", __name__, url_prefix="/audit")

    @routes.get("")
    @operation(Permission.AUDIT_READ)
    async def list_entries() -> Response:
        """?limit=&cursor=&actor_id=&action=&subject_kind=&subject_id=&request_id=&from=&to=&q=."""
        operator = current_operator()
        limit, before, wanted = page_size(), _before(), _wanted()

        async def work(transaction: Transaction) -> list[Row]:
            return await entries(transaction, wanted, before, limit + 1)

        rows = await database.unit("audit.list", work, caller=operator)
        shown = [_shown(row) for row in rows[:limit]]
        more = encode_cursor([str(shown[-1].number)]) if len(rows) > limit else None
        return answer(AuditPage(entries=tuple(shown), next_cursor=more))

    return routes


def _before() -> int:
    if "cursor" not in request.args:
        return _NEWEST
    (text,) = decode_cursor(request.args["cursor"], 1)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise invalid("cursor", "is not one of ours")
    return int(text)


def _wanted() -> Wanted:
    action = request.args.get("action")
    kind = request.args.get("subject_kind")
    if action is not None and action not in set(AuditAction):
        raise invalid("action", f"must be one of {', '.join(AuditAction)}")
    if kind is not None and kind not in set(SubjectKind):
        raise invalid("subject_kind", f"must be one of {', '.join(SubjectKind)}")
    return Wanted(
        actor_id=query_id("actor_id"),
        action=None if action is None else AuditAction(action),
        subject_kind=kind,
        subject_id=_text("subject_id"),
        request_id=_text("request_id"),
        since=_instant("from"),
        until=_instant("to"),
        q=_text("q") or "",
    )


def _text(name: str) -> str | None:
    value = request.args.get(name)
    if value is not None and (len(value) > _LONGEST or not value.isprintable()):
        raise invalid(name, f"must be {_LONGEST} printable characters at most")
    return value


def _instant(name: str) -> datetime | None:
    """As RFC 3339 writes it; the + of an offset may have come as a blank."""
    if name not in request.args:
        return None
    try:
        at = datetime.fromisoformat(request.args[name].replace(" ", "+"))
    except ValueError as error:
        raise invalid(name, "is no time of day and date") from error
    if at.tzinfo is None or not 1 < at.year < 9999:
        raise invalid(name, "must have an offset, as in 2026-01-31T12:00:00Z")
    return at


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
