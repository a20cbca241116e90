"""Adding to the audit log, reading it, and checking that it is what was written.

An entry is committed with what it tells of, or not at all.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from cloud.audit.rules import (
    PLATFORM,
    AuditAction,
    Chain,
    Entry,
    Flaw,
    Subject,
    after_last,
    changed,
    hash_of,
    wanted_words,
    words_of,
)
from cloud.callers import Actor
from cloud.database import Database, Row, Transaction, values
from cloud.lists import Bookmark, Cut, PageQuery
from cloud.origin import current_origin

COLUMNS = ", ".join(Entry.__dataclass_fields__)
_TENANT = "SELECT coalesce(current_setting('app.tenant', true), '') AS tenant"
_HEAD = "SELECT number, hash, clock_timestamp() AS at FROM audit_chains WHERE tenant_id = $1 FOR UPDATE"
_APPEND = f"""
    WITH added AS (
        INSERT INTO audit_entries ({COLUMNS}, hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ), found_by AS (
        INSERT INTO audit_words (tenant_id, word, number) SELECT $1, word, $2 FROM unnest($15::text[]) AS w (word)
    )
    UPDATE audit_chains SET number = $2, hash = $14 WHERE tenant_id = $1
"""  # noqa: S608  names of our own columns
_ENTRIES = f"SELECT {COLUMNS}, hash FROM audit_entries e WHERE e.number < $1"  # noqa: S608  as above
_FOUND_BY = " AND e.number IN (SELECT w.number FROM audit_words w WHERE w.word >= {} AND w.word < {})"
"""In a table of their own, tenant first: under row-level security Postgres uses no full-text index, since `@@` is not
leakproof, while comparisons of texts are."""
_FILTERS = {
    "actor_id": "e.actor_id = {}",
    "action": "e.action = {}",
    "subject_kind": "e.subject_kind = {}",
    "subject_id": "e.subject_id = {}",
    "request_id": "e.request_id = {}",
    "since": "e.at >= {}",
    "until": "e.at < {}",
}
_TENANTS = "SELECT id FROM all_tenants() AS t (id) ORDER BY id"
_END = "SELECT number, hash FROM audit_chains WHERE tenant_id = $1"
_PAGE = f"SELECT {COLUMNS}, hash FROM audit_entries WHERE number > $1 ORDER BY number LIMIT $2"  # noqa: S608  our columns
PAGE_ROWS = 500
_BEFORE_ALL = -(2**63)
_NEWEST = 2**63 - 1
_PLACE = Bookmark("audit", (Annotated[int, Field(ge=0, le=_NEWEST)],))


@dataclass(frozen=True)
class Wanted:
    """Which entries to show; None: whichever. `q`: beginnings of words, all of which must be there."""

    actor_id: UUID | None = None
    action: AuditAction | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str = ""


async def record(
    transaction: Transaction,
    actor: Actor,
    tenant_id: UUID | None,
    action: AuditAction,
    subject: Subject,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Inside a unit of the tenant: what has been done in it. Without a tenant (in any unit) it is the platform's.

    `before` and `after` are the fields it was done to; of those only what differs is kept. Never hand over secrets or
    personal data: fields named like secrets raise ValueError. Call it last: until the commit nobody else adds to the
    chain of this tenant.
    """
    if tenant_id is not None:
        await _append(transaction, actor, tenant_id, action, subject, changed(before, after))
        return
    row = await transaction.fetch_one(_TENANT)
    assert row is not None  # noqa: S101  it has no FROM
    await transaction.become(PLATFORM)
    await _append(transaction, actor, PLATFORM, action, subject, changed(before, after))
    await transaction.become(row["tenant"])


async def _append(
    transaction: Transaction,
    actor: Actor,
    chain: UUID,
    action: AuditAction,
    subject: Subject,
    sides: tuple[str | None, str | None],
) -> None:
    head = await transaction.fetch_one(_HEAD, chain)
    if head is None:
        raise LookupError(f"no audit chain {chain}")
    origin = current_origin()
    entry = Entry(
        tenant_id=chain,
        number=head["number"] + 1,
        at=head["at"],
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        actor_name=actor.name,
        action=action.value,
        subject_kind=subject.kind.value,
        subject_id=str(subject.id),
        before=sides[0],
        after=sides[1],
        request_id=origin.request_id,
        address=origin.address,
    )
    await transaction.execute(_APPEND, *values(entry), hash_of(head["hash"], entry), words_of(entry))


async def entries(transaction: Transaction, wanted: Wanted, before: int, limit: int) -> list[Row]:
    """Inside a unit of the tenant: its entries below a number, the newest first."""
    sql, arguments = query(wanted, before, limit)
    return list(await transaction.fetch(sql, *arguments))


async def page(transaction: Transaction, wanted: Wanted, query: PageQuery) -> Cut[Row]:
    """Inside a unit of the tenant: a page of entries, newest first, and its cursor. Raises Refused (422)."""
    before = _NEWEST
    match _PLACE.read(query):
        case (int() as last,):
            before = last
    found = await entries(transaction, wanted, before, query.limit + 1)
    return _PLACE.cut(found, query, lambda row: (row["number"],))


def query(wanted: Wanted, before: int, limit: int) -> tuple[str, list[Any]]:
    """The statement for `entries`, and its arguments."""
    arguments: list[Any] = [before]

    def argument(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    sql = _ENTRIES
    for name, condition in _FILTERS.items():
        value = getattr(wanted, name)
        if value is not None:
            sql += " AND " + condition.format(argument(value))
    for word in wanted_words(wanted.q):
        sql += _FOUND_BY.format(argument(word), argument(after_last(word)))
    return f"{sql} ORDER BY e.number DESC LIMIT {argument(limit)}", arguments


def entry_of(row: Row) -> Entry:
    """The entry that a row holds."""
    return Entry(**{name: row[name] for name in Entry.__dataclass_fields__})


@dataclass(frozen=True)
class Verified:
    """A chain up to entry `number`, where its hash is `hash`; sound, unless there is a flaw."""

    tenant_id: UUID
    number: int
    hash: bytes
    flaw: Flaw | None

    def line(self) -> str:
        """For people. Whoever keeps it elsewhere can tell later whether a whole chain was written anew."""
        name = "platform" if self.tenant_id == PLATFORM else str(self.tenant_id)
        if self.flaw is not None:
            return f"{name}: BROKEN: entry {self.flaw.number} {self.flaw.what}"
        return f"{name}: {self.number} entries, sound, ends with {self.hash.hex()}"


async def verify(
    database: Database, tenant_id: UUID | None = None, *, page_rows: int = PAGE_ROWS
) -> AsyncIterator[Verified]:
    """Walk the chain of one tenant, or of all and the platform's. Holds a page of entries at a time."""
    if tenant_id is not None:
        yield await _verify(database, tenant_id, page_rows)
        return
    for chain in [PLATFORM, *await database.unit("audit.tenants", _tenants)]:
        yield await _verify(database, chain, page_rows)


async def _tenants(transaction: Transaction) -> list[UUID]:
    return [row["id"] for row in await transaction.fetch(_TENANTS)]


async def _verify(database: Database, tenant_id: UUID, page_rows: int) -> Verified:
    chain, after = Chain(), _BEFORE_ALL
    while True:

        async def work(transaction: Transaction, after: int = after) -> tuple[Row | None, list[Row]]:
            # The head first: what is added after that is in the page, and the head says less than the last entry.
            head = await transaction.fetch_one(_END, tenant_id)
            return head, list(await transaction.fetch(_PAGE, after, page_rows))

        head, rows = await database.unit("audit.verify", work, tenant_id=tenant_id)
        flaw = chain.follow([(entry_of(row), row["hash"]) for row in rows])
        if flaw is None and not rows:
            flaw = (
                Flaw(0, "is gone with the whole chain") if head is None else chain.ends_at(head["number"], head["hash"])
            )
        if flaw is not None or not rows:
            return Verified(tenant_id, chain.number, chain.hash, flaw)
        after = chain.number
