"""What a run of facts makes of payments. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cloud.errors import FactRefused
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
    """What became of each payment that the facts speak of.

    Raises FactRefused for one attempted twice or after its steps, voided beside other steps, or of two orders.
    """
    steps: dict[UUID, PaymentStep] = {}
    for fact in facts:
        body = fact.body
        if body.event == "payment_attempted":
            if body.payment_id in steps:
                raise FactRefused("the payment was known before its attempt")
            steps[body.payment_id] = PaymentStep(body.order_id)
        elif body.event == "payment_captured":
            step = _standing(steps, body.payment_id, body.order_id)
            step.captured_minor, step.moved = step.captured_minor + body.amount_minor, True
        elif body.event == "payment_given_back":
            step = _standing(steps, body.payment_id, body.order_id)
            step.given_back_minor, step.moved = step.given_back_minor + body.amount_minor, True
        elif body.event == "payment_authorised":
            _standing(steps, body.payment_id, body.order_id).authorised = True
        elif body.event == "payment_voided":
            step = _standing(steps, body.payment_id, body.order_id)
            if step.moved:
                raise FactRefused("money of the payment has moved")
            step.voided = True
    return steps


def _standing(steps: dict[UUID, PaymentStep], payment_id: UUID, order_id: UUID) -> PaymentStep:
    step = steps.get(payment_id)
    if step is None:
        step = steps[payment_id] = PaymentStep(order_id)
    elif step.order_id != order_id:
        raise FactRefused("the payment belongs to another order")
    elif step.voided:
        raise FactRefused("the payment is voided")
    return step
