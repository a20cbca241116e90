"""What a run of facts makes of orders and vends. Pure: each is touched once, however many facts it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.devices import Evidence
from shared.orders import OrderEnded, OrderPlaced, VendCancelRequested, VendDispensedUnpaid, VendRequested, VendResolved
from shared.payments import PaymentAuthorised
from shared.sync import Fact

STATES = ("placed", "authorised", "dispensing", "settled", "cancelled", "expired")
"""In the order in which they can follow one another; the last three are terminal."""


@dataclass(frozen=True)
class Line:
    """Units of one order with the same slot, product and price."""

    slot: str
    product_id: UUID
    product_name: str
    price_minor: int
    vend_ids: tuple[UUID, ...]


def lines_of(order: OrderPlaced) -> list[Line]:
    """The order's vends gathered into lines, in the order in which they were chosen."""
    gathered: dict[tuple[str, UUID, str, int], list[UUID]] = {}
    for vend in order.vends:
        key = (vend.slot, vend.product_id, vend.product_name, vend.price_minor)
        gathered.setdefault(key, []).append(vend.vend_id)
    return [Line(*key, tuple(vend_ids)) for key, vend_ids in gathered.items()]


@dataclass
class OrderStep:
    """How far the facts took one order. Money in minor units, once it has ended."""

    state: str = "placed"
    captured_minor: int | None = None
    given_back_minor: int | None = None
    ended_at: datetime | None = None

    def reach(self, state: str) -> None:
        """Go on to `state`; never back."""
        self.state = max(self.state, state, key=STATES.index)


def order_steps(facts: Sequence[Fact]) -> dict[UUID, OrderStep]:
    """The furthest state of each order that the facts speak of."""
    steps: dict[UUID, OrderStep] = {}
    for fact in facts:
        match fact.body:
            case PaymentAuthorised(order_id=order_id):
                steps.setdefault(order_id, OrderStep()).reach("authorised")
            case VendRequested(order_id=order_id):
                steps.setdefault(order_id, OrderStep()).reach("dispensing")
            case OrderEnded() as ended:
                step = steps.setdefault(ended.order_id, OrderStep())
                step.reach(ended.state)
                step.captured_minor, step.given_back_minor = ended.captured_minor, ended.given_back_minor
                step.ended_at = fact.at
    return steps


@dataclass
class VendStep:
    """What the facts said of one vend; None is "nothing new"."""

    order_id: UUID
    state: str | None = None
    device_id: UUID | None = None
    device_epoch: int | None = None
    device_seq: int | None = None
    requested_at: datetime | None = None
    cancel_reason: str | None = None
    outcome: str | None = None
    evidence: str | None = None
    resolved_at: datetime | None = None
    dispensed_unpaid: bool = False


def _text(evidence: Evidence | None) -> str | None:
    return None if evidence is None else evidence.model_dump_json()


def vend_steps(facts: Sequence[Fact]) -> dict[UUID, VendStep]:
    """What became of each vend that the facts speak of."""
    steps: dict[UUID, VendStep] = {}
    for fact in facts:
        body = fact.body
        if not isinstance(body, VendRequested | VendCancelRequested | VendResolved | VendDispensedUnpaid):
            continue
        step = steps.setdefault(body.vend_id, VendStep(body.order_id))
        match body:
            case VendRequested():
                step.state, step.requested_at, step.device_id = "requested", fact.at, body.device_id
                step.device_epoch, step.device_seq = body.device_epoch, body.device_seq
            case VendCancelRequested():
                step.cancel_reason = body.reason
            case VendResolved():
                step.state, step.resolved_at, step.outcome = "done", fact.at, body.outcome
                step.evidence = _text(body.evidence)
            case VendDispensedUnpaid():
                step.dispensed_unpaid = True
                step.evidence = _text(body.evidence)
    return steps
