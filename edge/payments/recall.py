"""Money facts heard again from the cloud: they move the ledger and write nothing new."""

from uuid import UUID

import structlog

from edge.database import Transaction
from edge.payments import rules, store
from shared.contract import Rail
from shared.payments import (
    CreditInserted,
    PaymentAttempted,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentGivenBack,
    PaymentState,
    PaymentVoided,
)

log = structlog.get_logger()


def inserted(tx: Transaction, fact: CreditInserted) -> None:
    """Count a coin or note, once."""
    if store.add_credit(tx, fact):
        store.add_balance(tx, fact.machine_id, fact.amount_minor)


def attempted(tx: Transaction, machine_id: UUID, fact: PaymentAttempted) -> None:
    """The payment of an order, once."""
    if store.find(tx, fact.order_id) is None:
        store.add_payment(tx, machine_id, fact, PaymentState.PENDING)


def authorised(tx: Transaction, fact: PaymentAuthorised) -> bool:
    """Hold the money (cash: out of the credit); whether that was news."""
    if not store.move_on(tx, fact.payment_id, PaymentState.PENDING, PaymentState.AUTHORISED):
        return False
    _change_credit(tx, fact.order_id, -fact.amount_minor)
    return True


def settled(tx: Transaction, fact: PaymentCaptured | PaymentGivenBack) -> None:
    """End the money of one vend. To be called once for a vend."""
    if isinstance(fact, PaymentCaptured):
        store.add_captured(tx, str(fact.payment_id), fact.amount_minor)
    else:
        store.add_given_back(tx, str(fact.payment_id), fact.amount_minor)
        _change_credit(tx, fact.order_id, fact.amount_minor)


def voided(tx: Transaction, fact: PaymentVoided) -> None:
    """The order ended before its money was held."""
    store.move_on(tx, fact.payment_id, PaymentState.PENDING, PaymentState.VOIDED)


def closed(tx: Transaction, order_id: UUID) -> None:
    """The order has ended: so has a payment that was held."""
    store.move_on(tx, UUID(store.payment(tx, order_id)["payment_id"]), PaymentState.AUTHORISED, PaymentState.SETTLED)


def finish(tx: Transaction) -> None:
    """Credit that was spent before and, by the restored ledger, once more is the operator's loss: nobody else's."""
    for machine_id, debt in store.forgive_debts(tx).items():
        log.error("credit_overspent", machine_id=machine_id, amount_minor=debt)


def _change_credit(tx: Transaction, order_id: UUID, amount_minor: int) -> None:
    row = store.payment(tx, order_id)
    if rules.needed_credit(Rail(row["rail"]), 1):
        store.add_balance(tx, UUID(row["machine_id"]), amount_minor)
