"""What has to be told to whom, in Postgres: gateways' facts become events, events deliveries, and those are claimed.

One process at a time does this for a tenant, under a lock that ends with the transaction; sending goes on outside.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from pydantic import ValidationError

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import system
from cloud.clock import new_id
from cloud.database import Row, Transaction, columns
from cloud.scrubbing import json_without_cards
from cloud.webhooks.rules import FAILING_FOR, MOST_TRIES, SOURCES, Answer, EventType, body_of, type_of
from shared.sync import FACT, Fact

log = structlog.get_logger()

LEASE = timedelta(seconds=60)
"""Longer than sending and telling of it take: who has not told by then has died, and it is sent again."""
_READ_AT_ONCE = 100
"""Facts, before others have their turn."""

_TRY_LOCK = """
    SELECT pg_try_advisory_xact_lock(hashtextextended('webhooks ' || current_setting('app.tenant'), 0)) AS locked
"""
_ENDPOINTS = "SELECT id, events, since FROM webhook_endpoints WHERE state = 'enabled'"
_BEHIND = """
    SELECT g.id, g.epoch, g.seq, coalesce(c.epoch, 0) AS after_epoch, coalesce(c.seq, 0) AS after_seq
    FROM gateways g LEFT JOIN webhook_cursors c ON c.tenant_id = g.tenant_id AND c.gateway_id = g.id
    WHERE (g.epoch, g.seq) > (coalesce(c.epoch, 0), coalesce(c.seq, 0)) ORDER BY random() LIMIT $1
"""
"""By lot, so that none waits for ever while others always have news."""
_FACTS = """
    SELECT f.epoch, f.seq, f.received_at,
           CASE WHEN f.event = ANY ($6::text[]) AND NOT EXISTS (
                SELECT FROM dead_letters d WHERE d.tenant_id = f.tenant_id AND d.gateway_id = f.gateway_id
                    AND d.epoch = f.epoch AND d.seq = f.seq) THEN f.line END AS line
    FROM facts f WHERE f.gateway_id = $1 AND (f.epoch, f.seq) > ($2, $3) AND (f.epoch, f.seq) <= ($4, $5)
    ORDER BY f.epoch, f.seq LIMIT $7
"""
_MOVE = """
    INSERT INTO webhook_cursors (tenant_id, gateway_id, epoch, seq)
    VALUES (current_setting('app.tenant')::uuid, $1, $2, $3)
    ON CONFLICT ON CONSTRAINT webhook_cursors_pkey DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq
"""
_ADD_EVENTS = """
    INSERT INTO webhook_events (tenant_id, id, type, body, created_at)
    SELECT $1, *, $5::timestamptz FROM unnest($2::uuid[], $3::text[], $4::text[])
"""
_ADD_DELIVERIES = """
    INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, event_id, type, state, next_at, created_at, ended_at)
    SELECT $1, u.*, $7::timestamptz, $7::timestamptz, CASE WHEN u.state = 'dead' THEN $7::timestamptz END
    FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[]) AS u (id, endpoint, event, type, state)
"""
_FULL = """
    SELECT id FROM unnest($1::uuid[]) AS e (id)
    WHERE EXISTS (SELECT FROM webhook_deliveries d
        WHERE d.tenant_id = current_tenant() AND d.endpoint_id = e.id AND d.state = 'waiting' OFFSET $2)
"""
_CLAIM = """
    WITH lanes AS (
        SELECT e.tenant_id, e.id, (SELECT count(*) FROM webhook_deliveries d
            WHERE d.tenant_id = e.tenant_id AND d.endpoint_id = e.id AND d.sending AND d.next_at > $1) AS taken
        FROM webhook_endpoints e WHERE e.state = 'enabled'
    ), due AS (
        SELECT d.id, l.taken + row_number() OVER (PARTITION BY d.endpoint_id ORDER BY d.next_at, d.id) AS lane
        FROM lanes l CROSS JOIN LATERAL (
            SELECT w.id, w.endpoint_id, w.next_at FROM webhook_deliveries w
            WHERE w.tenant_id = l.tenant_id AND w.endpoint_id = l.id AND w.state = 'waiting' AND w.next_at <= $1
            ORDER BY w.next_at LIMIT greatest(0, $3 - l.taken)
        ) d
    ), chosen AS (
        SELECT id FROM due ORDER BY lane, id
        LIMIT greatest(0, least($5, $4 - (SELECT coalesce(sum(taken), 0) FROM lanes)))
    )
    UPDATE webhook_deliveries d SET sending = true, next_at = $2, tries = tries + 1, attempts = attempts + 1
    FROM chosen, webhook_endpoints e, webhook_events v
    WHERE d.id = chosen.id AND e.tenant_id = d.tenant_id AND e.id = d.endpoint_id
        AND v.tenant_id = d.tenant_id AND v.id = d.event_id
    RETURNING d.tenant_id, d.id, d.endpoint_id, d.event_id, d.tries, d.attempts, v.body, e.url, e.secret,
        CASE WHEN e.old_secret_until > $1 THEN e.old_secret END AS old_secret
"""
_ATTEMPTED = """
    INSERT INTO webhook_attempts (tenant_id, delivery_id, number, at, duration_ms, status, problem, answer)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT ON CONSTRAINT webhook_attempts_pkey DO NOTHING
"""
_ENDED = """
    UPDATE webhook_deliveries SET sending = false, state = $3, next_at = $4, ended_at = $5
    WHERE id = $1 AND attempts = $2 AND state = 'waiting' AND sending
"""
_FAILING = """
    UPDATE webhook_endpoints SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL
"""
_HEALTHY = "UPDATE webhook_endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL"
_DISABLE = """
    UPDATE webhook_endpoints SET state = 'disabled', disabled_because = $2
    WHERE id = $1 AND state = 'enabled' AND ($2 = 'gone' OR failing_since <= $3)
"""

_OWNERS = "SELECT u.email FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.role = 'owner'"


@dataclass(frozen=True)
class Bounds:
    """How much at once, over all processes."""

    of_endpoint: int = 8
    of_tenant: int = 32
    waiting: int = 20_000
    """For an endpoint. What comes on top is dead at once, and can be replayed."""
    facts: int = 1_000
    """Of a gateway that are followed in one look."""
    gateways: int = 50
    deliveries: int = 5_000
    """After so many new ones a turn ends: it holds the tenant's lock, and has to come to its commit."""


@dataclass(frozen=True)
class Claimed:
    """A delivery that is ours to try until its lease ends. Secrets are encrypted still."""

    tenant_id: UUID
    id: UUID
    endpoint_id: UUID
    event_id: UUID
    tries: int
    attempts: int
    body: str
    url: str
    secret: str
    old_secret: str | None


@dataclass(frozen=True)
class Turn:
    """What a turn has claimed, and whether another one has more to follow already."""

    claimed: Sequence[Claimed] = ()
    has_more: bool = False


@dataclass(frozen=True)
class Disabled:
    """An endpoint gets nothing any more; the addresses of those who should hear of it."""

    reason: str
    owners: Sequence[str]


async def turn(transaction: Transaction, tenant_id: UUID, now: datetime, room: int, bounds: Bounds) -> Turn:
    """Inside a unit of the tenant: note down what happened since, and claim at most `room` of what is due.

    Nothing, while another process is at this.
    """
    row = await transaction.fetch_one(_TRY_LOCK)
    if row is None or not row["locked"]:
        return Turn()
    has_more = await _follow(transaction, tenant_id, now, bounds)
    limits = (now + LEASE, bounds.of_endpoint, bounds.of_tenant, room)
    return Turn([Claimed(**claimed) for claimed in await transaction.fetch(_CLAIM, now, *limits)], has_more)


async def _follow(transaction: Transaction, tenant_id: UUID, now: datetime, bounds: Bounds) -> bool:
    """Whether it has left something."""
    endpoints = await transaction.fetch(_ENDPOINTS)
    wanted = {event for endpoint in endpoints for event in endpoint["events"]}
    sources = sorted({SOURCES[EventType(event)] for event in wanted})
    behind, made, is_whole = await transaction.fetch(_BEHIND, bounds.gateways), 0, True
    for gateway in behind:
        if made >= bounds.deliveries:
            return True
        span = (gateway["after_epoch"], gateway["after_seq"], gateway["epoch"], gateway["seq"])
        rows = await transaction.fetch(_FACTS, gateway["id"], *span, sources, bounds.facts)
        made += await _publish(transaction, tenant_id, gateway["id"], rows, endpoints, now, bounds.waiting)
        # Fewer than asked for: that was all up to the mark, of which some may have outlived their time.
        last = rows[-1] if len(rows) == bounds.facts else gateway
        is_whole &= last is gateway
        await transaction.execute(_MOVE, gateway["id"], last["epoch"], last["seq"])
    return len(behind) == bounds.gateways or not is_whole


async def publish_risen(transaction: Transaction, tenant_id: UUID, gateway_id: UUID, epoch: int, fact: Fact) -> None:
    """Inside a unit of the tenant: a dead letter took effect, long after its gateway's facts were followed past it."""
    kind = type_of(fact)
    endpoints = await transaction.fetch(_ENDPOINTS)
    told = [endpoint["id"] for endpoint in endpoints if kind in endpoint["events"]]
    now = await transaction.fetch_one("SELECT now() AS at")
    if kind is not None and told and now is not None:
        await add_event(transaction, tenant_id, kind, body_of(kind, fact, gateway_id, epoch), now["at"], told)


async def _publish(
    transaction: Transaction,
    tenant_id: UUID,
    gateway_id: UUID,
    rows: Sequence[Row],
    endpoints: Sequence[Row],
    now: datetime,
    most_waiting: int,
) -> int:
    """Events of these facts, and their deliveries; how many."""
    events: list[tuple[object, ...]] = []
    told: dict[UUID, list[tuple[UUID, str]]] = defaultdict(list)
    for place, row in enumerate(rows, 1):
        if place % _READ_AT_ONCE == 0:
            await asyncio.sleep(0)
        fact = None if row["line"] is None else _read(row["line"])
        kind = None if fact is None else type_of(fact)
        to = [e["id"] for e in endpoints if kind in e["events"] and row["received_at"] >= e["since"]]
        if fact is not None and kind is not None and to:
            event_id = new_id()
            events.append((event_id, kind.value, body_of(kind, fact, gateway_id, row["epoch"])))
            for endpoint_id in to:
                told[endpoint_id].append((event_id, kind.value))
    if events:
        await _add(transaction, tenant_id, events, told, now, most_waiting)
    return sum(map(len, told.values()))


async def add_event(
    transaction: Transaction, tenant_id: UUID, kind: str, body: str, now: datetime, endpoints: Sequence[UUID]
) -> UUID:
    """Inside a unit of the tenant: one event for these endpoints, of which there is one. The last delivery's id."""
    event_id = new_id()
    told = {endpoint_id: [(event_id, str(kind))] for endpoint_id in endpoints}
    return await _add(transaction, tenant_id, [(event_id, str(kind), body)], told, now, Bounds().waiting)


async def _add(
    transaction: Transaction,
    tenant_id: UUID,
    events: list[tuple[object, ...]],
    told: dict[UUID, list[tuple[UUID, str]]],
    now: datetime,
    most_waiting: int,
) -> UUID:
    full = {row["id"] for row in await transaction.fetch(_FULL, list(told), most_waiting)}
    for endpoint_id in full:
        log.warning("webhook_full", endpoint_id=str(endpoint_id), dead=len(told[endpoint_id]))
    await transaction.execute(_ADD_EVENTS, tenant_id, *columns(events), now)
    deliveries: list[tuple[object, ...]] = [
        (new_id(), endpoint_id, event_id, kind, "dead" if endpoint_id in full else "waiting")
        for endpoint_id, found in told.items()
        for event_id, kind in found
    ]
    await transaction.execute(_ADD_DELIVERIES, tenant_id, *columns(deliveries), now)
    last = deliveries[-1][0]
    assert isinstance(last, UUID)  # noqa: S101  made above
    return last


def _read(line: bytes) -> Fact | None:
    """The fact, as far as this version knows it: one it cannot read is a dead letter."""
    try:
        return FACT.validate_json(json_without_cards(line))
    except ValidationError:
        return None


async def record(
    transaction: Transaction, claimed: Claimed, answer: Answer, now: datetime, pause: timedelta
) -> Disabled | None:
    """Inside a unit of the tenant: what came of it; after a failure it is tried again in `pause`, or it is dead.

    Whether that disabled the endpoint.
    """
    what = (answer.duration_ms, answer.status, answer.problem, answer.text)
    await transaction.execute(_ATTEMPTED, claimed.tenant_id, claimed.id, claimed.attempts, now, *what)
    is_over = answer.is_success or answer.is_gone or claimed.tries >= MOST_TRIES
    state = "delivered" if answer.is_success else "dead" if is_over else "waiting"
    ended = now if is_over else None
    await transaction.execute(_ENDED, claimed.id, claimed.attempts, state, now + pause, ended)
    if answer.is_success:
        await transaction.execute(_HEALTHY, claimed.endpoint_id)
        return None
    await transaction.execute(_FAILING, claimed.endpoint_id, now)
    reason = "gone" if answer.is_gone else "failing"
    if not await transaction.execute(_DISABLE, claimed.endpoint_id, reason, now - FAILING_FOR):
        return None
    log.warning("webhook_disabled", endpoint_id=str(claimed.endpoint_id), reason=reason)
    owners = [row["email"] for row in await transaction.fetch(_OWNERS)]
    about, told = Subject(SubjectKind.WEBHOOK, claimed.endpoint_id), {"enabled": False, "because": reason}
    await audit.record(
        transaction, system("webhooks"), claimed.tenant_id, AuditAction.WEBHOOK_DISABLED, about, after=told
    )
    return Disabled(reason, owners)
