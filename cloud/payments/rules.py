"""What a run of facts makes of payments. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.sync import Fact


@dataclass
class PaymentStep:
    """What the facts added to one payment, in minor units of its currency."""

    order_id: UUID
    captured_minor: int = 0
    given_back_minor: int = 0
    authorised: bool = False
    voided: bool = False
    moved: bool = False
    """Something was captured or given back, be it nothing (free)."""


def payment_steps(facts: Sequence[Fact]) -> dict[UUID, PaymentStep]:
    """What became of each payment that the facts speak of."""
    steps: dict[UUID, PaymentStep] = {}
    for fact in facts:
        body = fact.body
        if body.event == "payment_captured":
            step = steps.setdefault(body.payment_id, PaymentStep(body.order_id))
            step.captured_minor, step.moved = step.captured_minor + body.amount_minor, True
        elif body.event == "payment_given_back":
            step = steps.setdefault(body.payment_id, PaymentStep(body.order_id))
            step.given_back_minor, step.moved = step.given_back_minor + body.amount_minor, True
        elif body.event == "payment_authorised":
            steps.setdefault(body.payment_id, PaymentStep(body.order_id)).authorised = True
        elif body.event == "payment_voided":
            steps.setdefault(body.payment_id, PaymentStep(body.order_id)).voided = True
    return steps
