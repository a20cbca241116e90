"""What an order costs, when it waits, goes on or is given up, and what an outcome does to slot and order."""

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

from edge.catalog.rules import Offer
from edge.errors import Refused
from shared.errors import Code
from shared.orders import (
    ChosenLine,
    OrderPlaced,
    OrderState,
    PlacedVend,
    PlaceOrder,
    VendOutcome,
    VendProgress,
    VendView,
)

PAY_WINDOW_S = 120
"""An order that is not paid by then expires."""

CUSTOMER_WINDOW_S = 60
"""A customer who has seen nothing happen for so long is gone: what has not been requested is given back."""

OFFLINE_WINDOW_S = 15
"""The same while the device is away."""

OPEN_STATES = frozenset({OrderState.PLACED, OrderState.AUTHORISED, OrderState.DISPENSING})


class Next(Enum):
    """What to do with an unpaid order, or with a vend that has not been requested yet."""

    WAIT = "wait"
    AUTHORISE = "authorise"
    EXPIRE = "expire"
    REQUEST = "request"
    GIVE_UP = "give_up"


def quantities(lines: Iterable[ChosenLine]) -> dict[str, int]:
    """Units wanted of each slot; a slot may stand in several lines."""
    wanted: dict[str, int] = {}
    for line in lines:
        wanted[line.slot] = wanted.get(line.slot, 0) + line.quantity
    return wanted


def next_for_waiting(*, online: bool, free: bool, quiet_s: float) -> Next:
    """online: its device can be commanded. free: that takes one more. quiet_s: since the customer's window began."""
    if quiet_s >= (CUSTOMER_WINDOW_S if online else OFFLINE_WINDOW_S):
        return Next.GIVE_UP
    return Next.REQUEST if online and free else Next.WAIT


def next_for_unpaid(*, paid: bool, quiet_s: float) -> Next:
    """paid: the money the order needs is there. quiet_s: since the order was placed."""
    if quiet_s >= PAY_WINDOW_S:
        return Next.EXPIRE
    return Next.AUTHORISE if paid else Next.WAIT


def is_settled(outcomes: Iterable[VendOutcome | None]) -> bool:
    """Whether every vend of the order has its outcome."""
    return all(outcome is not None for outcome in outcomes)


def makes_suspect(outcome: VendOutcome) -> bool:
    """Whether a person must look into the slot first: the motor turned, and no product is accounted for."""
    return outcome in (VendOutcome.AMBIGUOUS, VendOutcome.NO_DROP)


def is_unpaid_drop(outcome: VendOutcome, before: str | None) -> bool:
    """Whether a report proves a drop of a vend that had ended otherwise `before`."""
    return outcome is VendOutcome.DISPENSED and before not in (None, VendOutcome.DISPENSED)


def check(offer: Offer, wish: PlaceOrder) -> None:
    """Raises Refused (out_of_service, price_changed, unknown_slot) unless the machine sells what is wished for."""
    if not offer.machine.in_service:
        raise Refused(Code.OUT_OF_SERVICE, "This machine is out of service.")
    if wish.planogram_version != offer.version:
        raise Refused(Code.PRICE_CHANGED, "Products or prices have changed. Please look again.")
    for line in wish.lines:
        if line.slot not in offer.slots:
            raise Refused(Code.UNKNOWN_SLOT, f"There is no slot {line.slot} on this machine.")


def priced(offer: Offer, wish: PlaceOrder, new_id: Callable[[], UUID], now: datetime) -> OrderPlaced:
    """The order at the prices in force, one vend a unit. Every chosen slot must be on offer."""
    vends = tuple(
        PlacedVend(
            vend_id=new_id(),
            slot=line.slot,
            product_id=offer.slots[line.slot].product_id,
            product_name=offer.slots[line.slot].name,
            price_minor=offer.slots[line.slot].price_minor,
        )
        for line in wish.lines
        for _ in range(line.quantity)
    )
    return OrderPlaced(
        order_id=new_id(),
        machine_id=wish.machine_id,
        rail=offer.machine.rail,
        currency=offer.machine.currency,
        total_minor=sum(vend.price_minor for vend in vends),
        planogram_version=offer.version,
        placed_at=now,
        vends=vends,
    )


class Fields(Protocol):
    """A stored row."""

    def __getitem__(self, name: str, /) -> Any: ...


def vend_view(vend: Fields, *, running: bool) -> VendView:
    """A stored vend as a kiosk shows it. running: its device has said that it is at it."""
    state = VendProgress(vend["state"])
    return VendView(
        vend_id=UUID(vend["vend_id"]),
        slot=vend["slot"],
        product_name=vend["product_name"],
        price_minor=vend["price_minor"],
        state=VendProgress.STARTED if running and state is VendProgress.REQUESTED else state,
        outcome=VendOutcome(vend["outcome"]) if vend["outcome"] else None,
    )
