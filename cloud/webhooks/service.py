"""What those may do with webhooks who may do it."""

import secrets
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth.leaving import makers, require_still
from cloud.auth.members import know_actor
from cloud.callers import Operator
from cloud.clock import Clock, new_id
from cloud.conditional import Precondition
from cloud.database import Database, Row, Transaction
from cloud.encryption.columns import WEBHOOK_OLD_SECRET, WEBHOOK_SECRET
from cloud.encryption.keyring import Keyring
from cloud.errors import NotFound, Refused
from cloud.lists import read_page
from cloud.web import invalid
from cloud.webhooks.destinations import Allowed, Forbidden
from cloud.webhooks.messages import (
    DELIVERIES,
    SHOWN,
    SHOWN_DELIVERY,
    WEBHOOKS,
    Attempt,
    Delivery,
    DeliveryPage,
    DeliveryQuery,
    DeliveryRow,
    DisabledBecause,
    Replay,
    Replayed,
    WebhookEdit,
    WebhookPage,
    WebhookQuery,
    WebhookRow,
    WebhookSecret,
    WebhookWish,
    delivery_of,
    webhook_of,
)
from cloud.webhooks.queue import add_event
from cloud.webhooks.rules import OLD_SECRET_LIFE, PING, SECRET_BYTES, ping_body, secret_of
from shared.errors import Code

MOST_ENDPOINTS = 20
REPLAYED_AT_ONCE = 10_000
SHOWN_ATTEMPTS = 100

_LOCK_TENANT = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || current_setting('app.tenant'), 0))"
_COUNT = "SELECT count(*) AS endpoints FROM webhook_endpoints WHERE state <> 'deleted'"
_BEGIN_TO_FOLLOW = """
    INSERT INTO webhook_cursors (tenant_id, gateway_id, epoch, seq)
    SELECT g.tenant_id, g.id, g.epoch, g.seq FROM gateways g
    WHERE NOT EXISTS (SELECT FROM webhook_endpoints e WHERE e.tenant_id = g.tenant_id AND e.state = 'enabled')
    ON CONFLICT ON CONSTRAINT webhook_cursors_pkey DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq
"""
"""Before the first endpoint is enabled: what happened until now is told to nobody."""
_ADD = """
    INSERT INTO webhook_endpoints
        (tenant_id, id, url, description, events, state, secret, since, created_at, created_by)
    VALUES ($1, $2, $3, $4, $5, 'enabled', $6, now(), $7, $8)
"""
_ONE = SHOWN.format(picked="webhook_endpoints e") + "WHERE e.id = $1 AND e.state <> 'deleted'"
_MADE_BY = (
    SHOWN.format(picked="webhook_endpoints e")
    + """WHERE e.created_by = ANY($1::uuid[]) AND e.state <> 'deleted'
    ORDER BY e.created_at, e.id
"""
)
_LOCK_ONE = _ONE + " FOR UPDATE OF e"
_EDIT = """
    UPDATE webhook_endpoints SET url = $2, description = $3, events = $4, state = $5, disabled_because = $6,
        failing_since = $7, since = CASE WHEN $5 = 'enabled' AND state <> 'enabled' THEN now() ELSE since END
    WHERE id = $1
"""
_DELETE = """
    UPDATE webhook_endpoints SET state = 'deleted', disabled_because = NULL, secret = NULL, old_secret = NULL
    WHERE id = $1
"""
_SECRET = "SELECT secret FROM webhook_endpoints WHERE id = $1"  # noqa: S105  no secret
_ROTATE = """
    UPDATE webhook_endpoints SET secret = $2, old_secret = $3, old_secret_until = $4 WHERE id = $1
"""
_DELIVERY = SHOWN_DELIVERY.format(picked="webhook_deliveries d") + "WHERE d.endpoint_id = $1 AND d.id = $2"
_BODY = "SELECT body FROM webhook_events WHERE id = $1"
_ATTEMPTS = f"""
    SELECT number, at, duration_ms, status, problem, answer FROM webhook_attempts
    WHERE delivery_id = $1 ORDER BY number DESC LIMIT {SHOWN_ATTEMPTS}
"""  # noqa: S608  a number of ours
_REPLAY = """
    UPDATE webhook_deliveries SET state = 'waiting', sending = false, tries = 0, next_at = $1, ended_at = NULL
"""
_REPLAY_ONE = _REPLAY + "WHERE id = $2 AND NOT (state = 'waiting' AND sending AND next_at > $1)"
_REPLAY_DEAD = f"""{_REPLAY} WHERE id IN (
    SELECT id FROM webhook_deliveries WHERE endpoint_id = $2 AND state = 'dead' AND created_at >= $3 AND created_at < $4
    ORDER BY created_at, id LIMIT {REPLAYED_AT_ONCE}) AND state = 'dead'
"""  # noqa: S608  as above


class WebhookService:
    """Looks after a tenant's endpoints and what was sent to them. `allowed`: where they may lie."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, allowed: Allowed) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._allowed = allowed

    async def webhooks(self, operator: Operator, query: WebhookQuery) -> WebhookPage:
        """All endpoints. Raises Refused for a cursor that is not theirs."""

        async def work(transaction: Transaction) -> WebhookPage:
            return await read_page(transaction, WEBHOOKS, query)

        return await self._database.unit("webhooks.list", work, caller=operator)

    async def webhook(self, operator: Operator, webhook_id: UUID) -> WebhookRow:
        """One of them. Raises NotFound."""

        async def work(transaction: Transaction) -> WebhookRow:
            return await _found(transaction, _ONE, webhook_id)

        return await self._database.unit("webhooks.one", work, caller=operator)

    async def made_by(self, operator: Operator, maker_id: UUID) -> list[WebhookRow]:
        """What a user or key, and all keys that they answer for, have made and is there: it stays when they go."""

        async def work(transaction: Transaction) -> list[WebhookRow]:
            known = await makers(transaction, maker_id)
            return [webhook_of(row) for row in await transaction.fetch(_MADE_BY, known)]

        return await self._database.unit("webhooks.made_by", work, caller=operator)

    async def create(self, transaction: Transaction, operator: Operator, wish: WebhookWish) -> WebhookSecret:
        """Inside a unit of the operator's: told of what happens from now on. Raises Refused (403, 409, 422)."""
        self._require_allowed(wish.url)
        await require_still(transaction, operator)
        await transaction.execute(_LOCK_TENANT)
        count = await transaction.fetch_one(_COUNT)
        if count is not None and count["endpoints"] >= MOST_ENDPOINTS:
            raise Refused(Code.CONFLICT, f"There are {MOST_ENDPOINTS} endpoints: delete one first.", status=409)
        webhook_id, secret = new_id(), secret_of(secrets.token_bytes(SECRET_BYTES))
        sealed = WEBHOOK_SECRET.seal(self._keyring, (operator.tenant_id, webhook_id), secret)
        events = sorted(set(wish.events))
        await transaction.execute(_BEGIN_TO_FOLLOW)
        kept = (wish.url, wish.description, events, sealed, self._clock.now(), operator.actor.id)
        await know_actor(transaction, operator.tenant_id, operator.actor)
        await transaction.execute(_ADD, operator.tenant_id, webhook_id, *kept)
        made = await _found(transaction, _ONE, webhook_id)
        await _audit(transaction, operator, AuditAction.WEBHOOK_CREATED, webhook_id, after=self._told(made))
        return WebhookSecret(webhook=made, secret=secret)

    async def edit(self, operator: Operator, webhook_id: UUID, edit: WebhookEdit, expected: Precondition) -> WebhookRow:
        """Enabled again, it gets what still waits for it. Raises NotFound, Refused (412, 422)."""
        if edit.url is not None:
            self._require_allowed(edit.url)

        async def work(transaction: Transaction) -> WebhookRow:
            await transaction.execute(_LOCK_TENANT)
            was = await _found(transaction, _LOCK_ONE, webhook_id)
            expected.require(was)
            enabled = was.enabled if edit.enabled is None else edit.enabled
            reason = None if enabled else was.disabled_because or DisabledBecause.ASKED
            failing = was.failing_since if was.enabled else None
            if enabled and not was.enabled:
                await transaction.execute(_BEGIN_TO_FOLLOW)
            events = sorted(set(edit.events or was.events))
            description = was.description if edit.description is None else edit.description
            state = "enabled" if enabled else "disabled"
            kept = (edit.url or was.url, description, events, state, reason, failing)
            await transaction.execute(_EDIT, webhook_id, *kept)
            now = await _found(transaction, _ONE, webhook_id)
            if now != was:
                told = {"before": self._told(was), "after": self._told(now)}
                await _audit(transaction, operator, AuditAction.WEBHOOK_CHANGED, webhook_id, **told)
            return now

        return await self._database.unit("webhooks.edit", work, caller=operator)

    async def delete(self, operator: Operator, webhook_id: UUID) -> None:
        """Nothing is sent there any more; what was goes with the rest of its age. Raises NotFound."""

        async def work(transaction: Transaction) -> None:
            was = await _found(transaction, _LOCK_ONE, webhook_id)
            await transaction.execute(_DELETE, webhook_id)
            await _audit(transaction, operator, AuditAction.WEBHOOK_DELETED, webhook_id, before=self._told(was))

        await self._database.unit("webhooks.delete", work, caller=operator)

    async def rotate(self, transaction: Transaction, operator: Operator, webhook_id: UUID) -> WebhookSecret:
        """Inside a unit of the operator's: a new secret; the one of before signs beside it for a day.

        Raises NotFound, Undecipherable.
        """
        await _found(transaction, _LOCK_ONE, webhook_id)
        row = await transaction.fetch_one(_SECRET, webhook_id)
        assert row is not None  # noqa: S101  locked above
        place = (operator.tenant_id, webhook_id)
        old = WEBHOOK_SECRET.open(self._keyring, place, row["secret"])
        secret = secret_of(secrets.token_bytes(SECRET_BYTES))
        sealed = WEBHOOK_SECRET.seal(self._keyring, place, secret)
        until = self._clock.now() + OLD_SECRET_LIFE
        kept_old = WEBHOOK_OLD_SECRET.seal(self._keyring, place, old)
        await transaction.execute(_ROTATE, webhook_id, sealed, kept_old, until)
        await _audit(transaction, operator, AuditAction.WEBHOOK_SECRET_ROTATED, webhook_id)
        return WebhookSecret(webhook=await _found(transaction, _ONE, webhook_id), secret=secret)

    async def ping(self, transaction: Transaction, operator: Operator, webhook_id: UUID) -> DeliveryRow:
        """Inside a unit of the operator's: a test, sent like any event. Raises NotFound, Refused (409)."""
        webhook = await _found(transaction, _ONE, webhook_id)
        if not webhook.enabled:
            raise Refused(Code.CONFLICT, "This endpoint is disabled: nothing is sent there.", status=409)
        now = self._clock.now()
        body = ping_body(webhook_id, now)
        delivery_id = await add_event(transaction, operator.tenant_id, PING, body, now, [webhook_id])
        return await self._delivery_row(transaction, webhook_id, delivery_id)

    async def deliveries(self, operator: Operator, webhook_id: UUID, query: DeliveryQuery) -> DeliveryPage:
        """What was sent there, and what waits. Raises NotFound, Refused for a cursor that is not theirs."""

        async def work(transaction: Transaction) -> DeliveryPage:
            await _found(transaction, _ONE, webhook_id)
            return await read_page(transaction, DELIVERIES, query, webhook_id=webhook_id)

        return await self._database.unit("webhooks.deliveries", work, caller=operator)

    async def delivery(self, operator: Operator, webhook_id: UUID, delivery_id: UUID) -> Delivery:
        """One of them, with its newest attempts first. Raises NotFound."""

        async def work(transaction: Transaction) -> Delivery:
            await _found(transaction, _ONE, webhook_id)
            row = await self._delivery_row(transaction, webhook_id, delivery_id)
            body = await transaction.fetch_one(_BODY, row.message_id)
            assert body is not None  # noqa: S101  a delivery has an event
            attempts = tuple(Attempt(**attempt) for attempt in await transaction.fetch(_ATTEMPTS, delivery_id))
            return Delivery(delivery=row, body=body["body"], attempts=attempts)

        return await self._database.unit("webhooks.delivery", work, caller=operator)

    async def replay_one(self, operator: Operator, webhook_id: UUID, delivery_id: UUID) -> DeliveryRow:
        """Send it again under its own id, whatever became of it, unless it is on its way. Raises NotFound."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> DeliveryRow:
            await _found(transaction, _ONE, webhook_id)
            await self._delivery_row(transaction, webhook_id, delivery_id)
            replayed = await transaction.execute(_REPLAY_ONE, now, delivery_id)
            row = await self._delivery_row(transaction, webhook_id, delivery_id)
            if replayed:
                await _audit_replay(transaction, operator, webhook_id, replayed)
            return row

        return await self._database.unit("webhooks.replay", work, caller=operator)

    async def replay_dead(self, operator: Operator, webhook_id: UUID, wish: Replay) -> Replayed:
        """Send the dead ones of a time again, each under its own id. Raises NotFound."""
        now = self._clock.now()

        async def work(transaction: Transaction) -> Replayed:
            await _found(transaction, _ONE, webhook_id)
            replayed = await transaction.execute(_REPLAY_DEAD, now, webhook_id, wish.created_from, wish.created_to)
            if replayed:
                await _audit_replay(transaction, operator, webhook_id, replayed)
            return Replayed(replayed=replayed)

        return await self._database.unit("webhooks.replay_dead", work, caller=operator)

    async def _delivery_row(self, transaction: Transaction, webhook_id: UUID, delivery_id: UUID) -> DeliveryRow:
        row = await transaction.fetch_one(_DELIVERY, webhook_id, delivery_id)
        if row is None:
            raise NotFound
        return delivery_of(row)

    def _require_allowed(self, url: str) -> None:
        try:
            self._allowed.destination(url)
        except Forbidden as error:
            raise invalid("url", str(error)) from None

    def _told(self, webhook: WebhookRow) -> dict[str, object]:
        """For the audit log. Of a URL only its host: its path may be a secret."""
        try:
            host = self._allowed.destination(webhook.url).authority
        except Forbidden:  # any more: the settings have changed
            host = "not allowed any more"
        told: dict[str, object] = {"host": host, "description": webhook.description, "enabled": webhook.enabled}
        return told | {"events": [event.value for event in webhook.events]}


async def _found(transaction: Transaction, sql: str, webhook_id: UUID) -> WebhookRow:
    row: Row | None = await transaction.fetch_one(sql, webhook_id)
    if row is None:
        raise NotFound
    return webhook_of(row)


async def _audit(
    transaction: Transaction,
    operator: Operator,
    action: AuditAction,
    webhook_id: UUID,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    about = Subject(SubjectKind.WEBHOOK, webhook_id)
    await audit.record(transaction, operator.actor, operator.tenant_id, action, about, before=before, after=after)


async def _audit_replay(transaction: Transaction, operator: Operator, webhook_id: UUID, count: int) -> None:
    await _audit(transaction, operator, AuditAction.WEBHOOK_REPLAYED, webhook_id, after={"deliveries": count})
