"""Finds what has a name by the beginnings of its words, and what has an id by the beginning of that."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from uuid import UUID

from cloud.audit.rules import after_last
from cloud.database import Row, Transaction
from cloud.permissions import Permission
from cloud.search.rules import id_range, picked
from shared.contract import Currency, Instant, Message, Minor

MOST = 100
"""So many of a kind are counted."""


class Kind(StrEnum):
    """What can be found, in the order in which it is shown."""

    MACHINE = "machine"
    SITE = "site"
    GATEWAY = "gateway"
    DEVICE = "device"
    PRODUCT = "product"
    USER = "user"
    ORDER = "order"


class Found(Message):
    """One of them. `detail` says which, where names are alike; of an order it is what became of it."""

    id: UUID
    name: str
    detail: str
    placed_at: Instant | None = None
    total_minor: Minor | None = None
    currency: Currency | None = None


class FoundGroup(Message):
    """What was found of a kind, by name. `is_more`: there are more than `count`."""

    kind: Kind
    count: int
    is_more: bool
    found: tuple[Found, ...]


NEEDS = {
    Kind.MACHINE: Permission.MACHINES_READ,
    Kind.SITE: Permission.SITES_READ,
    Kind.GATEWAY: Permission.GATEWAYS_READ,
    Kind.DEVICE: Permission.DEVICES_READ,
    Kind.PRODUCT: Permission.CATALOG_READ,
    Kind.USER: Permission.USERS_READ,
    Kind.ORDER: Permission.ORDERS_READ,
}
"""What one must hold to find any of a kind."""

_SITE = "(SELECT s.name FROM sites s WHERE s.tenant_id = t.tenant_id AND s.id = t.site_id)"
_MACHINE = "(SELECT m.name FROM machines m WHERE m.tenant_id = t.tenant_id AND m.id = t.machine_id)"
_DETAILS: Mapping[Kind, str] = {
    Kind.MACHINE: _SITE,
    Kind.SITE: "t.address",
    Kind.GATEWAY: _SITE,
    Kind.DEVICE: _MACHINE,
    Kind.PRODUCT: "''",
}
_BY_WORDS = """
    SELECT t.id, t.name, coalesce({detail}, '') AS detail
    FROM search_words w JOIN {kind}s t ON t.tenant_id = w.tenant_id AND t.id = w.subject_id
    WHERE w.kind = '{kind}' AND w.word >= $2 AND w.word < $3{others}
    ORDER BY w.word, w.subject_id LIMIT $1
"""
_OTHER = """ AND EXISTS (SELECT 1 FROM search_words o WHERE o.tenant_id = w.tenant_id AND o.kind = w.kind
        AND o.subject_id = w.subject_id AND o.word >= ${} AND o.word < ${})"""
_BY_ID = """
    SELECT t.id, t.name, coalesce({detail}, '') AS detail FROM {kind}s t
    WHERE t.id >= $2 AND t.id <= $3 ORDER BY t.id LIMIT $1
"""
ORDERS = f"""
    SELECT t.id, coalesce({_MACHINE}, '') AS name, t.state AS detail, t.placed_at, t.total_minor, t.currency
    FROM orders t WHERE t.id >= $2 AND t.id <= $3 ORDER BY t.id LIMIT $1
"""  # noqa: S608  no outsider's words
USERS = """
    SELECT u.id, u.name, u.email AS detail FROM memberships m JOIN users u ON u.id = m.user_id
    WHERE NOT EXISTS (
        SELECT 1 FROM unnest($2::text[]) AS w (word) WHERE strpos(lower(u.name || ' ' || u.email), word) = 0
    )
    ORDER BY u.name, u.id LIMIT $1
"""
"""A business has few of them: each is looked at."""


async def search(
    transaction: Transaction, permissions: frozenset[Permission], text: str, limit: int
) -> tuple[FoundGroup, ...]:
    """Inside a unit of somebody with these permissions: up to `limit` of each kind of which there are some."""
    row = await transaction.fetch_one("SELECT search_words_of($1) AS words", text)
    words, ids = picked([] if row is None else row["words"]), id_range(text)
    groups = []
    for kind, permission in NEEDS.items():
        rows: list[Row] = []
        if permission in permissions:
            rows += await _by_words(transaction, kind, words, text)
            rows += await _by_id(transaction, kind, ids)
        if rows:
            groups.append(_group(kind, rows, limit))
    return tuple(groups)


async def _by_words(transaction: Transaction, kind: Kind, words: list[str], text: str) -> Sequence[Row]:
    if not words or kind is Kind.ORDER:
        return ()
    if kind is Kind.USER:
        return await transaction.fetch(USERS, MOST + 1, text.lower().split())
    others = "".join(_OTHER.format(2 * n + 2, 2 * n + 3) for n in range(1, len(words)))
    sql = _BY_WORDS.format(kind=kind, detail=_DETAILS[kind], others=others)
    return await transaction.fetch(sql, MOST + 1, *(end for word in words for end in (word, after_last(word))))


async def _by_id(transaction: Transaction, kind: Kind, ids: tuple[UUID, UUID] | None) -> Sequence[Row]:
    if ids is None or kind is Kind.USER:
        return ()
    sql = ORDERS if kind is Kind.ORDER else _BY_ID.format(kind=kind, detail=_DETAILS[kind])
    return await transaction.fetch(sql, MOST + 1, *ids)


def _group(kind: Kind, rows: Sequence[Row], limit: int) -> FoundGroup:
    """Each once: two words of a name may begin alike."""
    once = {row["id"]: Found.model_validate(dict(row)) for row in rows[:MOST]}
    found = sorted(once.values(), key=lambda one: (one.name.lower(), one.id))
    return FoundGroup(kind=kind, count=len(found), is_more=len(rows) > MOST, found=tuple(found[:limit]))
