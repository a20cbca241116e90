"""Payments: taken from facts in whole batches."""

from collections.abc import Sequence
from dataclasses import astuple
from uuid import UUID

from cloud.database import Transaction, columns
from cloud.errors import FactRefused
from cloud.payments.rules import payment_steps
from shared.payments import CreditInserted, PaymentAttempted
from shared.sync import Fact

_ATTEMPTS = """
    INSERT INTO payments (tenant_id, state, id, order_id, rail, currency, amount_minor, attempted_at)
    SELECT $1, 'pending', * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])
"""
_STEPS = """
    UPDATE payments SET
        captured_minor = payments.captured_minor + u.captured,
        given_back_minor = payments.given_back_minor + u.given_back,
        state = CASE
            WHEN u.voided THEN 'voided'
            WHEN u.moved AND payments.captured_minor + u.captured + payments.given_back_minor + u.given_back
                = payments.amount_minor THEN 'settled'
            WHEN u.authorised THEN 'authorised'
            ELSE payments.state END
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::boolean[], $6::boolean[], $7::boolean[])
        AS u (id, order_id, captured, given_back, authorised, voided, moved)
    WHERE payments.id = u.id AND payments.order_id = u.order_id AND payments.state <> 'voided'
"""
_CREDITS = """
    INSERT INTO credits (tenant_id, id, machine_id, device_id, amount_minor, currency, at)
    SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::timestamptz[])
"""


async def record_attempts(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Payments that orders ask for."""
    attempts = [(fact.at, fact.body) for fact in facts if isinstance(fact.body, PaymentAttempted)]
    rows = [(p.payment_id, p.order_id, p.rail, p.currency, p.amount_minor, at) for at, p in attempts]
    await transaction.execute(_ATTEMPTS, tenant_id, *columns(rows))


async def record_steps(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Authorised, captured, given back, voided. Raises FactRefused for a payment that is unknown or voided."""
    rows = [(payment_id, *astuple(step)) for payment_id, step in payment_steps(facts).items()]
    if await transaction.execute(_STEPS, *columns(rows)) != len(rows):
        raise FactRefused("the payment is unknown or voided")


async def record_credits(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Coins and notes."""
    credits_ = [(fact.at, fact.body) for fact in facts if isinstance(fact.body, CreditInserted)]
    rows = [(c.credit_id, c.machine_id, c.device_id, c.amount_minor, c.currency, at) for at, c in credits_]
    await transaction.execute(_CREDITS, tenant_id, *columns(rows))
