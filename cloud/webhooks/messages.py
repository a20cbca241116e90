"""Webhooks as people and programs see and write them."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from cloud.database import Row
from cloud.lists import Listing, PageQuery, Sort
from cloud.webhooks.rules import EventType
from shared.contract import Instant, Message, Name

Url = Annotated[
    str,
    StringConstraints(min_length=8, max_length=2000),
    Field(
        description="https:// and a host of the internet; no user, no fragment.",
        json_schema_extra={"examples": ["https://erp.example.com/larder"]},
    ),
]
Description = Annotated[str, StringConstraints(max_length=200)]
Events = Annotated[tuple[EventType, ...], Field(min_length=1, max_length=len(EventType))]
Kind = EventType | Literal["ping"]


class WebhookWish(Message):
    """An endpoint that shall be told of these events."""

    url: Url
    events: Events
    description: Description = ""


class WebhookEdit(Message):
    """What shall be other from now on; what is left out stays. While it is disabled, nothing is noted down for it."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    enabled: bool | None = None


class DisabledBecause(StrEnum):
    """Why an endpoint gets nothing."""

    ASKED = "asked"
    """Somebody wished it."""
    GONE = "gone"
    """It answered 410."""
    FAILING = "failing"
    """It took nothing for five days."""


class WebhookRow(Message):
    """An endpoint. `failing_since`: nothing has got through since then."""

    webhook_id: UUID
    url: str
    description: str
    events: tuple[EventType, ...]
    enabled: bool
    disabled_because: DisabledBecause | None
    failing_since: Instant | None
    old_secret_until: Annotated[Instant | None, Field(description="Until then the secret of before signs, too.")]
    created_at: Instant
    created_by: Name | None


class WebhookQuery(PageQuery):
    """Endpoints, the newest first."""

    row = WebhookRow


class WebhookPage(Message):
    """A page of endpoints, the newest first."""

    webhooks: tuple[WebhookRow, ...]
    next_cursor: str | None


class WebhookSecret(Message):
    """The endpoint and its new secret, shown this once."""

    webhook: WebhookRow
    secret: str


class DeliveryState(StrEnum):
    """Of one event for one endpoint: waiting → delivered | dead; replayed, it waits again."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class DeliveryRow(Message):
    """One event for one endpoint. `message_id` is what the receiver knows it by, however often it comes."""

    delivery_id: UUID
    webhook_id: UUID
    message_id: UUID
    type: Kind
    state: Annotated[DeliveryState, Field(json_schema_extra={"examples": ["dead"]})]
    attempts: int
    next_at: Annotated[Instant | None, Field(description="When it is tried next, while it waits.")]
    created_at: Instant
    ended_at: Instant | None


class Attempt(Message):
    """One try. Without a status there was no answer; without a problem it counts."""

    number: int
    at: Instant
    duration_ms: int
    status: Annotated[int | None, Field(json_schema_extra={"examples": [503]})]
    problem: str | None
    answer: Annotated[str, Field(description="The first KB of what came back.")]


class Delivery(Message):
    """One event for one endpoint, what is sent, and each attempt; those are missing whose sender died over them."""

    delivery: DeliveryRow
    body: str
    attempts: tuple[Attempt, ...]


class DeliveryQuery(PageQuery):
    """Deliveries to an endpoint, the newest first."""

    row = DeliveryRow

    state: Annotated[DeliveryState | None, Field(json_schema_extra={"examples": ["dead"]})] = None


class DeliveryPage(Message):
    """A page of deliveries, the newest first."""

    deliveries: tuple[DeliveryRow, ...]
    next_cursor: str | None


class Replay(Message):
    """All dead ones of events that came in this time, at most 10,000 at once, the oldest first."""

    created_from: Instant
    created_to: Instant


class Replayed(Message):
    """How many wait again."""

    replayed: int


def webhook_of(row: Row) -> WebhookRow:
    """As it is shown."""
    return WebhookRow.model_validate(dict(row), strict=False)


def delivery_of(row: Row) -> DeliveryRow:
    """As it is shown."""
    return DeliveryRow.model_validate(dict(row), strict=False)


SHOWN = """
    SELECT e.id AS webhook_id, e.url, e.description, e.events, e.state = 'enabled' AS enabled, e.disabled_because,
           e.failing_since, CASE WHEN e.old_secret_until > now() THEN e.old_secret_until END AS old_secret_until,
           e.created_at, a.name AS created_by
    FROM {picked} LEFT JOIN actors a ON a.tenant_id = e.tenant_id AND a.id = e.created_by
"""
WEBHOOKS = Listing(
    name="webhooks",
    row=WebhookRow,
    page=WebhookPage,
    table="webhook_endpoints e",
    show=SHOWN,
    read=webhook_of,
    sorts={"-created_at": Sort({"created_at": "e.created_at", "webhook_id": "e.id"}, descending=True)},
    where="e.state <> 'deleted'",
)
SHOWN_DELIVERY = """
    SELECT d.id AS delivery_id, d.endpoint_id AS webhook_id, d.event_id AS message_id, d.type, d.state, d.attempts,
           CASE WHEN d.state = 'waiting' THEN d.next_at END AS next_at, d.created_at, d.ended_at
    FROM {picked}
"""
DELIVERIES = Listing(
    name="webhook deliveries",
    row=DeliveryRow,
    page=DeliveryPage,
    table="webhook_deliveries d",
    show=SHOWN_DELIVERY,
    read=delivery_of,
    sorts={"-created_at": Sort({"created_at": "d.created_at", "delivery_id": "d.id"}, descending=True)},
    filters={"webhook_id": "d.endpoint_id = {}", "state": "d.state = {}"},
)
