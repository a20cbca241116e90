"""What a run of facts makes of payments. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.payments import PaymentAuthorised, PaymentCaptured, PaymentGivenBack, PaymentVoided
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
        if not isinstance(body, PaymentAuthorised | PaymentCaptured | PaymentGivenBack | PaymentVoided):
            continue
        step = steps.setdefault(body.payment_id, PaymentStep(body.order_id))
        match body:
            case PaymentAuthorised():
                step.authorised = True
            case PaymentCaptured(amount_minor=amount):
                step.captured_minor, step.moved = step.captured_minor + amount, True
            case PaymentGivenBack(amount_minor=amount):
                step.given_back_minor, step.moved = step.given_back_minor + amount, True
            case PaymentVoided():
                step.voided = True
    return steps
