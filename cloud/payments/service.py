"""Payments: taken from facts in whole batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.database import Transaction, columns, values
from cloud.errors import FactRefused
from cloud.payments.rules import payment_steps
from shared.sync import Fact

_ATTEMPTS = """
    INSERT INTO payments (tenant_id, id, rail, currency, amount_minor, attempted_at, order_id,
                          captured_minor, given_back_minor, state)
    SELECT $1, id, rail, currency, amount, attempted_at, order_id, captured, given_back,
           CASE WHEN voided THEN 'voided'
                WHEN moved AND captured + given_back = amount THEN 'settled'
                WHEN authorised THEN 'authorised'
                ELSE 'pending' END
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::uuid[], $8::bigint[],
                $9::bigint[], $10::boolean[], $11::boolean[], $12::boolean[])
        AS u (id, rail, currency, amount, attempted_at, order_id, captured, given_back, authorised, voided, moved)
"""
_STEPS = """
    UPDATE payments SET
        captured_minor = payments.captured_minor + u.captured,
        given_back_minor = payments.given_back_minor + u.given_back,
        state = CASE
            WHEN u.voided THEN 'voided'
            WHEN u.moved AND payments.captured_minor + u.captured + payments.given_back_minor + u.given_back
                = payments.amount_minor THEN 'settled'
            WHEN u.authorised AND payments.state = 'pending' THEN 'authorised'
            ELSE payments.state END
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::boolean[], $6::boolean[], $7::boolean[])
        AS u (id, order_id, captured, given_back, authorised, voided, moved)
    WHERE payments.id = u.id AND payments.order_id = u.order_id AND payments.state <> 'voided'
        AND NOT (u.voided AND (payments.state = 'settled' OR payments.captured_minor + payments.given_back_minor > 0))
"""
_CREDITS = """
    INSERT INTO credits (tenant_id, id, machine_id, device_id, amount_minor, currency, at)
    SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::timestamptz[])
    ON CONFLICT ON CONSTRAINT credits_pkey DO NOTHING
"""
_TAKEN_OVER = """
    INSERT INTO payments (tenant_id, id, order_id, rail, currency, amount_minor, captured_minor, given_back_minor,
                          state, attempted_at, synthetic, provider_reference)
    SELECT $1, id, order_id, rail, currency, amount, captured, given_back,
           CASE WHEN synthetic THEN 'voided' ELSE 'settled' END, attempted_at, synthetic, nullif(reference, '')
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
                $9::timestamptz[], $10::boolean[], $11::text[])
        AS u (id, order_id, rail, currency, amount, captured, given_back, attempted_at, synthetic, reference)
"""


@dataclass(frozen=True)
class PaymentTakenOver:
    """A payment of before, which has ended. Money in minor units; of a synthetic one none has moved."""

    payment_id: UUID
    order_id: UUID
    rail: str
    currency: str
    amount_minor: int
    captured_minor: int
    given_back_minor: int
    attempted_at: datetime
    synthetic: bool
    provider_reference: str


async def take_over(transaction: Transaction, tenant_id: UUID, taken: Sequence[PaymentTakenOver]) -> None:
    """Inside a unit of the tenant: payments that were made before Larder. Sent: the caller goes on."""
    if taken:
        await transaction.send(_TAKEN_OVER, tenant_id, *columns([tuple(values(payment)) for payment in taken]))


async def record(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """New payments as far as the facts took them, then the steps of older ones.

    Raises FactRefused for a payment that is unknown or voided, or whose facts contradict one another.
    """
    steps = payment_steps(facts)
    attempts = [(fact.at, fact.body) for fact in facts if fact.body.event == "payment_attempted"]
    if attempts:
        rows = [
            (p.payment_id, p.rail, p.currency, p.amount_minor, at, *values(steps.pop(p.payment_id)))
            for at, p in attempts
        ]
        await transaction.send(_ATTEMPTS, tenant_id, *columns(rows))
    if steps:
        older = [(payment_id, *values(step)) for payment_id, step in steps.items()]
        if await transaction.execute(_STEPS, *columns(older)) != len(older):
            raise FactRefused("the payment is unknown, voided, or moved money before it was voided")


async def record_credits(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Coins and notes. One told again, by a gateway that has forgotten it, counts once."""
    credits_ = [(fact.at, fact.body) for fact in facts if fact.body.event == "credit_inserted"]
    rows = [(c.credit_id, c.machine_id, c.device_id, c.amount_minor, c.currency, at) for at, c in credits_]
    await transaction.execute(_CREDITS, tenant_id, *columns(rows))
