"""The audit log: who did what, found by filters that stand in the page's address."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from quart import Blueprint, Response, request

from cloud.audit.rules import AuditAction, SubjectKind
from cloud.audit.service import Wanted, page
from cloud.auth.members import names_of
from cloud.catalog.service import places
from cloud.dashboard.forms import Form
from cloud.dashboard.page import add_page, page_query
from cloud.dashboard.signed_in import SignedInPages
from cloud.dashboard.wording import in_words
from cloud.database import Database, Row, Transaction
from cloud.errors import Refused
from cloud.lists import PageQuery
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import as_id, invalid

HERE = "/audit"
_LONGEST = 200
_NAMED = frozenset({SubjectKind.USER, SubjectKind.API_KEY, SubjectKind.GATEWAY})
FIELDS = ("q", "action", "from", "to")
FOLLOWED = ("actor_id", "subject_id", "request_id")
"""Filters that are set by following a link in an entry."""


@dataclass(frozen=True)
class Change:
    """A field that was changed; "" where there was, or is, nothing."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class EntryShown:
    """An entry in words."""

    number: int
    at: datetime
    actor_kind: str
    actor_id: UUID
    actor_name: str
    action: str
    subject_kind: str
    subject_id: str
    subject_name: str
    """Of a person, program, site or machine that is known by now."""
    changes: tuple[Change, ...]
    request_id: str
    address: str


class AuditPages:
    """What was done."""

    def __init__(self, pages: SignedInPages, database: Database) -> None:
        self._pages = pages
        self._database = database

    def register(self, pages: Blueprint) -> None:
        """The page."""
        add_page(pages, HERE, self.show)

    @operation(Permission.AUDIT_READ)
    async def show(self) -> Response:
        """GET /audit?q=&action=&from=&to=&actor_id=&subject_id=&request_id=&cursor=."""
        form = Form({name: [request.args.get(name, "")] for name in FIELDS})
        query = page_query(PageQuery)
        shown: list[EntryShown] = []
        more = None
        try:
            wanted = _wanted()

            async def work(transaction: Transaction) -> tuple[list[EntryShown], str | None]:
                rows, more = await page(transaction, wanted, query)
                names = await _names(transaction, rows)
                return [_shown(row, names) for row in rows], more

            shown, more = await self._database.unit("dashboard.audit", work, caller=current_operator())
        except Refused as error:
            form = form.answered(error)
        return await self._pages.show(
            "audit.html",
            form=form,
            entries=shown,
            actions=[("", "Anything"), *((action.value, in_words(action)) for action in AuditAction)],
            followed={name: request.args[name] for name in FOLLOWED if name in request.args},
            is_filtered=any(request.args.get(name) for name in (*FIELDS, *FOLLOWED)),
            next_cursor=more,
            first_page="cursor" not in request.args,
            status=422 if form.errors else 200,
        )


def _wanted() -> Wanted:
    """Raises Refused."""
    action = request.args.get("action") or None
    if action is not None and action not in set(AuditAction):
        raise invalid("action", "must be one of those offered")
    since, until = _day("from"), _day("to")
    return Wanted(
        actor_id=as_id("actor_id", actor) if (actor := request.args.get("actor_id")) else None,
        action=None if action is None else AuditAction(action),
        subject_id=_text("subject_id"),
        request_id=_text("request_id"),
        since=since,
        until=None if until is None else until + timedelta(days=1),
        q=_text("q") or "",
    )


def _text(name: str) -> str | None:
    value = request.args.get(name) or None
    if value is not None and (len(value) > _LONGEST or not value.isprintable()):
        raise invalid(name, f"must be {_LONGEST} printable characters at most")
    return value


def _day(name: str) -> datetime | None:
    """The beginning of a day in UTC."""
    text = request.args.get(name)
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise invalid(name, "must be a day, such as 2026-01-31") from error
    if not 1 < day.year < 9998:
        raise invalid(name, "is no day of our times")
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


async def _names(transaction: Transaction, rows: Sequence[Row]) -> dict[str, str]:
    """What the ids in entries stand for, as far as they are still known."""
    ids = [UUID(row["subject_id"]) for row in rows if row["subject_kind"] in _NAMED]
    names = {str(one): name for one, name in (await names_of(transaction, ids)).items()}
    for place in await places(transaction):
        names[str(place.site_id)] = place.site_name
        if place.machine_name is not None:
            names[str(place.machine_id)] = place.machine_name
    return names


def _shown(row: Row, names: Mapping[str, str]) -> EntryShown:
    taken = {name: row[name] for name in EntryShown.__dataclass_fields__ if name not in {"changes", "subject_name"}}
    found = changes(_fields(row["before"]), _fields(row["after"]), names)
    return EntryShown(**taken, subject_name=names.get(row["subject_id"], ""), changes=found)


def _fields(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def changes(before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]) -> tuple[Change, ...]:
    """Field by field, those with nothing on either side left out; `names` of ids."""
    fields = dict.fromkeys((*before, *after))
    found = (Change(in_words(name), _told(before.get(name), names), _told(after.get(name), names)) for name in fields)
    return tuple(change for change in found if change.before or change.after)


def _told(value: Any, names: Mapping[str, str]) -> str:
    match value:
        case None | [] | {}:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_told(part, names) for part in value)
        case dict():
            return ", ".join(f"{in_words(name)}: {_told(part, names)}" for name, part in value.items())
    return names.get(str(value), str(value))
