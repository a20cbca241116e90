"""What is told of a fact, how it is signed (Standard Webhooks), and when it is tried again. Pure."""

import base64
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from uuid import UUID

from shared.orders import OrderState, VendOutcome
from shared.sync import Fact

SECRET_PREFIX = "whsec_"  # noqa: S105  what secrets begin with
SECRET_BYTES = 32
OLD_SECRET_LIFE = timedelta(hours=24)
"""So long both sign, for receivers to change over."""
PING = "ping"

MOST_TRIES = 15
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=6)
LONGEST_WISHED_PAUSE = timedelta(hours=24)
"""Of a receiver's Retry-After no more is honoured."""
FAILING_FOR = timedelta(days=5)
"""An endpoint that has taken nothing for so long is disabled."""


class EventType(StrEnum):
    """What other systems can be told of: what gateways' facts say, and nothing that is guessed from their silence."""

    ORDER_PLACED = "order.placed"
    ORDER_COMPLETED = "order.completed"
    """Settled: each unit was dispensed and paid, or given back."""
    ORDER_CANCELLED = "order.cancelled"
    """Cancelled by the customer, or expired unpaid."""
    VEND_FAILED = "vend.failed"
    """A unit was not dispensed, or nobody can tell."""
    STOCK_CHANGED = "stock.changed"
    SLOT_EMPTY = "slot.empty"
    """By the slot's own sensor."""
    SLOT_SUSPECT = "slot.suspect"
    DEVICE_CONNECTED = "device.connected"
    DEVICE_DISCONNECTED = "device.disconnected"


SOURCES: dict[EventType, str] = {
    EventType.ORDER_PLACED: "order_placed",
    EventType.ORDER_COMPLETED: "order_ended",
    EventType.ORDER_CANCELLED: "order_ended",
    EventType.VEND_FAILED: "vend_resolved",
    EventType.STOCK_CHANGED: "stock_moved",
    EventType.SLOT_EMPTY: "slot_sensed",
    EventType.SLOT_SUSPECT: "slot_suspected",
    EventType.DEVICE_CONNECTED: "device_link_changed",
    EventType.DEVICE_DISCONNECTED: "device_link_changed",
}
"""Which facts each is told of."""


def type_of(fact: Fact) -> EventType | None:
    """As what a fact is told."""
    body = fact.body
    match body.event:
        case "order_placed":
            return EventType.ORDER_PLACED
        case "order_ended":
            return EventType.ORDER_COMPLETED if body.state is OrderState.SETTLED else EventType.ORDER_CANCELLED
        case "vend_resolved":
            return EventType.VEND_FAILED if body.outcome is not VendOutcome.DISPENSED else None
        case "stock_moved":
            return EventType.STOCK_CHANGED
        case "slot_sensed":
            return EventType.SLOT_EMPTY if body.empty else None
        case "slot_suspected":
            return EventType.SLOT_SUSPECT
        case "device_link_changed":
            return EventType.DEVICE_CONNECTED if body.online else EventType.DEVICE_DISCONNECTED
        case _:
            return None


def body_of(kind: EventType, fact: Fact, gateway_id: UUID, epoch: int) -> str:
    """What is sent: type and time as Standard Webhooks has it, and as data the fact with its place among others."""
    data = fact.body.model_dump(mode="json", exclude={"event"}) | {
        "gateway_id": str(gateway_id),
        "epoch": epoch,
        "seq": fact.seq,
    }
    return _body(kind, fact.at, data)


def ping_body(webhook_id: UUID, at: datetime) -> str:
    """Of a test."""
    return _body(PING, at, {"webhook_id": str(webhook_id)})


def _body(kind: str, at: datetime, data: dict[str, object]) -> str:
    moment = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": moment, "data": data}, ensure_ascii=False, separators=(",", ":"))


def secret_of(random: bytes) -> str:
    """The secret as receivers' libraries take it."""
    return SECRET_PREFIX + base64.b64encode(random).decode()


def signature_of(secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> str:
    """The header `webhook-signature`: one signature for each secret, the newest first."""
    signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
    keys = [base64.b64decode(secret.removeprefix(SECRET_PREFIX)) for secret in secrets]
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)


@dataclass(frozen=True)
class Answer:
    """What became of one attempt. Without a status there was no answer."""

    status: int | None
    problem: str | None
    """Why it does not count; None: it does."""
    text: str = ""
    """The first KB of the answer's body."""
    retry_after: timedelta | None = None
    duration_ms: int = 0

    @property
    def is_success(self) -> bool:
        """The receiver has it."""
        return self.problem is None

    @property
    def is_gone(self) -> bool:
        """The receiver wants nothing more, ever."""
        return self.status == 410


def problem_of(status: int) -> str | None:
    """Why an answer with this status does not count."""
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"status {status}: redirects are not followed"
    return f"status {status}"


def longest_pause(tries: int) -> timedelta:
    """The most there is between this many tries and the next: a random part of it is waited (full jitter)."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * int(3 ** min(tries - 1, 20)))


def retry_after(header: str, now: datetime) -> timedelta | None:
    """What a Retry-After asks for: seconds, or a date; None if it says neither. Bounded."""
    try:
        wished = timedelta(seconds=int(header)) if header.isascii() and header.isdigit() else _until(header, now)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wished, timedelta()), LONGEST_WISHED_PAUSE)


def _until(header: str, now: datetime) -> timedelta:
    moment = parsedate_to_datetime(header)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
