"""Orders: what a kiosk asks, what it is shown, and the facts of an order and its vends."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.contract import Currency, Epoch, Instant, Message, Minor, Name, Rail, Seq, SlotCode
from shared.devices import Evidence

Quantity = Annotated[int, Field(ge=1, le=10)]
MAX_LINES = 20


class ChosenLine(Message):
    """So many of the product in this slot."""

    slot: SlotCode
    quantity: Quantity


class PlaceOrder(Message):
    """A kiosk's wish. `planogram_version` is what the customer saw; another version in force means another price."""

    machine_id: UUID
    planogram_version: Annotated[int, Field(ge=1)]
    lines: Annotated[tuple[ChosenLine, ...], Field(min_length=1, max_length=MAX_LINES)]


class OrderState(StrEnum):
    """placed → authorised → dispensing → settled, or placed → cancelled | expired."""

    PLACED = "placed"
    AUTHORISED = "authorised"
    DISPENSING = "dispensing"
    SETTLED = "settled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class VendProgress(StrEnum):
    """How far a vend is, for people."""

    WAITING = "waiting"
    REQUESTED = "requested"
    STARTED = "started"
    DONE = "done"


class VendOutcome(StrEnum):
    """How a vend ended. Only `dispensed` is paid for."""

    DISPENSED = "dispensed"
    NOT_STARTED = "not_started"
    NO_DROP = "no_drop"
    CANCELLED = "cancelled"
    AMBIGUOUS = "ambiguous"


class VendView(Message):
    """One unit of an order as a kiosk shows it."""

    vend_id: UUID
    slot: SlotCode
    product_name: Name
    price_minor: Minor
    state: VendProgress
    outcome: VendOutcome | None


class OrderView(Message):
    """An order as a kiosk shows it. `due_minor` is what the customer has still to insert."""

    order_id: UUID
    machine_id: UUID
    state: OrderState
    rail: Rail
    currency: Currency
    total_minor: Minor
    due_minor: Minor
    given_back_minor: Minor
    vends: tuple[VendView, ...]


class PlacedVend(Message):
    """One unit to be dispensed."""

    vend_id: UUID
    slot: SlotCode
    product_id: UUID
    product_name: Name
    price_minor: Minor


class OrderPlaced(Message):
    """Fact: the order stands, its stock is reserved, its prices are frozen."""

    event: Literal["order_placed"] = "order_placed"
    order_id: UUID
    machine_id: UUID
    rail: Rail
    currency: Currency
    total_minor: Minor
    planogram_version: Annotated[int, Field(ge=1)]
    placed_at: Instant
    vends: Annotated[tuple[PlacedVend, ...], Field(min_length=1, max_length=200)]


class OrderEnded(Message):
    """Fact: the order is in a terminal state. captured + given_back = what was authorised."""

    event: Literal["order_ended"] = "order_ended"
    order_id: UUID
    machine_id: UUID
    state: Literal[OrderState.SETTLED, OrderState.CANCELLED, OrderState.EXPIRED]
    captured_minor: Minor
    given_back_minor: Minor


class VendRequested(Message):
    """Fact (G3): from here on the device may have been told to dispense."""

    event: Literal["vend_requested"] = "vend_requested"
    order_id: UUID
    vend_id: UUID
    device_id: UUID
    slot: SlotCode
    device_epoch: Epoch
    device_seq: Seq


class VendCancelRequested(Message):
    """Fact (G4): the device is asked to burn the seq."""

    event: Literal["vend_cancel_requested"] = "vend_cancel_requested"
    order_id: UUID
    vend_id: UUID
    reason: Literal["customer", "deadline", "refused"]
    """`refused`: by the device, and no repeat would change its mind."""


class VendResolved(Message):
    """Fact (G5): the one final outcome of a vend, with what it rests on."""

    event: Literal["vend_resolved"] = "vend_resolved"
    order_id: UUID
    vend_id: UUID
    machine_id: UUID
    slot: SlotCode
    outcome: VendOutcome
    evidence: Evidence | None


class VendDispensedUnpaid(Message):
    """Fact: proof of a drop came after the money had been given back. Never charged again."""

    event: Literal["vend_dispensed_unpaid"] = "vend_dispensed_unpaid"
    order_id: UUID
    vend_id: UUID
    machine_id: UUID
    slot: SlotCode
    evidence: Evidence | None
