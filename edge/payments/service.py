"""Use cases of money. Everything but `record_credit` works inside a transaction of the caller."""

from uuid import UUID

import structlog

from edge.catalog.service import CatalogService
from edge.clock import new_id
from edge.database import Database, Transaction
from edge.errors import Refused
from edge.failpoints import Failpoints
from edge.links import UNSIGNED, Links
from edge.outbox import Outbox
from edge.payments import rules, store
from shared.contract import Rail
from shared.devices import AcknowledgeCredit, Credit
from shared.errors import Code
from shared.payments import (
    CreditInserted,
    PaymentAttempted,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentGivenBack,
    PaymentState,
    PaymentVoided,
)
from shared.topics import Topic

CREDITS_KEY = "credits"
"""Touched when the cash credit of any machine has changed (watch.py)."""

log = structlog.get_logger()


def credit_key(machine_id: UUID) -> str:
    """Touched when the machine's cash credit has changed (watch.py)."""
    return f"credit:{machine_id}"


class PaymentService:
    """One payment an order; every authorised amount ends captured or given back, vend by vend."""

    def __init__(
        self, database: Database, catalog: CatalogService, outbox: Outbox, links: Links, failpoints: Failpoints
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._outbox = outbox
        self._links = links
        self._failpoints = failpoints

    def hold(self, tx: Transaction, machine_id: UUID, rail: Rail, amount_minor: int) -> bool:
        """Hold so much money, if it is there (cash: take it from the credit); whether it was."""
        needed = rules.needed_credit(rail, amount_minor)
        if not _is_there(tx, machine_id, needed):
            return False
        if needed:
            self._change_credit(tx, machine_id, -needed)
        return True

    def attempt(
        self,
        tx: Transaction,
        order_id: UUID,
        machine_id: UUID,
        rail: Rail,
        amount_minor: int,
        currency: str,
        *,
        held: bool,
    ) -> None:
        """Open the order's payment (G1), authorised at once if its money is held (G2)."""
        attempted = PaymentAttempted(
            payment_id=new_id(), order_id=order_id, rail=rail, amount_minor=amount_minor, currency=currency
        )
        store.add_payment(tx, machine_id, attempted, PaymentState.AUTHORISED if held else PaymentState.PENDING)
        self._outbox.append(tx, attempted)
        if held:
            self._tell_authorised(tx, attempted.payment_id, order_id, amount_minor, currency)

    def open(
        self, tx: Transaction, order_id: UUID, machine_id: UUID, rail: Rail, amount_minor: int, currency: str
    ) -> None:
        """Open the order's payment (G1), unless it has one."""
        if store.find(tx, order_id) is None:
            self.attempt(tx, order_id, machine_id, rail, amount_minor, currency, held=False)

    def authorise(self, tx: Transaction, order_id: UUID) -> bool:
        """Hold the money of a pending payment (cash: take it from the credit); whether there was enough."""
        row = store.payment(tx, order_id)
        if not self.hold(tx, UUID(row["machine_id"]), Rail(row["rail"]), row["amount_minor"]):
            return False
        store.set_state(tx, row["payment_id"], PaymentState.AUTHORISED)
        self._tell_authorised(tx, UUID(row["payment_id"]), order_id, row["amount_minor"], row["currency"])
        return True

    def can_authorise(self, tx: Transaction, order_id: UUID) -> bool:
        """Whether the money that the order's payment needs is there."""
        row = store.payment(tx, order_id)
        needed = rules.needed_credit(Rail(row["rail"]), row["amount_minor"])
        return _is_there(tx, UUID(row["machine_id"]), needed)

    def settle_vend(self, tx: Transaction, order_id: UUID, vend_id: UUID, price_minor: int, *, earned: bool) -> None:
        """End the money of one vend of an authorised payment: earned, or given back (cash: to the machine's credit)."""
        row = store.payment(tx, order_id)
        if earned:
            store.add_captured(tx, row["payment_id"], price_minor)
        else:
            store.add_given_back(tx, row["payment_id"], price_minor)
            refund = rules.needed_credit(Rail(row["rail"]), price_minor)
            if refund:
                self._change_credit(tx, UUID(row["machine_id"]), refund)
        fact = PaymentCaptured if earned else PaymentGivenBack
        self._outbox.append(
            tx,
            fact(
                payment_id=UUID(row["payment_id"]),
                order_id=order_id,
                vend_id=vend_id,
                amount_minor=price_minor,
                currency=row["currency"],
            ),
        )

    def close(self, tx: Transaction, order_id: UUID) -> tuple[int, int]:
        """Settle the payment once all its vends are; (captured, given back) in minor units."""
        row = store.payment(tx, order_id)
        if row["captured_minor"] + row["given_back_minor"] != row["amount_minor"]:
            raise AssertionError(f"payment {row['payment_id']} does not add up")
        store.set_state(tx, row["payment_id"], PaymentState.SETTLED)
        return row["captured_minor"], row["given_back_minor"]

    def void(self, tx: Transaction, order_id: UUID) -> None:
        """End a payment that was never authorised, unless it has ended."""
        row = store.payment(tx, order_id)
        if row["state"] == PaymentState.VOIDED:
            return
        store.set_state(tx, row["payment_id"], PaymentState.VOIDED)
        self._outbox.append(
            tx,
            PaymentVoided(
                payment_id=UUID(row["payment_id"]),
                order_id=order_id,
                amount_minor=row["amount_minor"],
                currency=row["currency"],
            ),
        )

    def credit(self, tx: Transaction, machine_id: UUID) -> int:
        """Cash inserted into the machine and not yet spent, in minor units."""
        return store.balance(tx, machine_id)

    def given_back(self, tx: Transaction, order_id: UUID) -> int:
        """What has been given back of an order so far, in minor units."""
        row = store.find(tx, order_id)
        return row["given_back_minor"] if row else 0

    async def record_credit(self, topic: Topic, credit: Credit) -> None:
        """Count a coin or note once, then acknowledge it to the device.

        Raises Refused (validation_failed) for another currency than the machine's: it is not counted, nor acknowledged.
        """

        inserted = CreditInserted(
            credit_id=credit.credit_id,
            machine_id=topic.machine_id,
            device_id=topic.device_id,
            amount_minor=credit.amount_minor,
            currency=credit.currency,
        )

        def work(tx: Transaction) -> None:
            if self._catalog.currency(tx, topic.machine_id) != credit.currency:
                raise Refused(Code.VALIDATION_FAILED, f"This machine does not take {credit.currency}.")
            if store.add_credit(tx, inserted):
                self._change_credit(tx, topic.machine_id, credit.amount_minor)
                self._outbox.append(tx, inserted)

        await self._database.unit("payments.record_credit", work)
        log.info("credit_recorded", machine_id=str(topic.machine_id), credit_id=str(credit.credit_id))
        self._failpoints.hit("payments.acknowledge_credit.before")
        acknowledge = AcknowledgeCredit(credit_id=credit.credit_id, mac=UNSIGNED)
        self._links.send(topic.machine_id, topic.device_id, acknowledge)
        self._failpoints.hit("payments.acknowledge_credit.after")

    def _tell_authorised(
        self, tx: Transaction, payment_id: UUID, order_id: UUID, amount_minor: int, currency: str
    ) -> None:
        authorised = PaymentAuthorised(
            payment_id=payment_id, order_id=order_id, amount_minor=amount_minor, currency=currency
        )
        self._outbox.append(tx, authorised)

    def _change_credit(self, tx: Transaction, machine_id: UUID, amount_minor: int) -> None:
        store.add_balance(tx, machine_id, amount_minor)
        tx.touch(CREDITS_KEY, credit_key(machine_id))


def _is_there(tx: Transaction, machine_id: UUID, needed: int) -> bool:
    return needed == 0 or store.balance(tx, machine_id) >= needed
