"""Orders heard again from the cloud, and those that were open in a restored backup: how they come to their end.

Until all is recalled nobody can tell what became of such an order, so nothing moves it: a vend asked for now might be
the second start of one that ran before the ledger was lost. Then each ends by what is known, and by asking its device.
"""

import sqlite3
from uuid import UUID

from edge.catalog.service import CatalogService
from edge.clock import Moment
from edge.database import Transaction
from edge.devices.service import DeviceService
from edge.dispensing import recall as dispensing
from edge.inventory import recall as inventory
from edge.orders import store
from edge.orders.service import OrderService
from edge.payments import recall as payments
from edge.payments.service import PaymentService
from shared.contract import Rail
from shared.orders import (
    OrderEnded,
    OrderPlaced,
    OrderState,
    VendDispensedUnpaid,
    VendOutcome,
    VendProgress,
    VendRequested,
    VendResolved,
)
from shared.payments import PaymentAttempted, PaymentAuthorised, PaymentCaptured, PaymentGivenBack, PaymentVoided

LONG_AGO = Moment(UUID(int=0), 0)
NOBODY = UUID(int=0)
"""Stands for the device of a slot that no planogram known here names."""


class OrderRecall:
    """What facts of orders mean to a ledger that has lost them. Each takes effect once; none writes a new fact."""

    def __init__(
        self, orders: OrderService, catalog: CatalogService, devices: DeviceService, payments: PaymentService
    ) -> None:
        self._orders = orders
        self._catalog = catalog
        self._devices = devices
        self._payments = payments

    def hold_open(self, tx: Transaction) -> None:
        """The ledger was restored: let nothing move what was open in it."""
        store.hold_open(tx)
        dispensing.hold_open(tx)

    def placed(self, tx: Transaction, fact: OrderPlaced) -> None:
        """Insert the order, and reserve. Facts hold no idempotency key: the order's id takes its place."""
        if store.order(tx, fact.order_id) is not None:
            return
        devices = self._catalog.devices_of(tx, fact.machine_id, fact.planogram_version)
        store.add_order(tx, fact, OrderState.PLACED, fact.order_id, "", LONG_AGO)
        store.add_vends(tx, fact, {vend.slot: devices.get(vend.slot, NOBODY) for vend in fact.vends})
        store.hold(tx, fact.order_id)
        for vend in fact.vends:
            inventory.reserved(tx, fact.machine_id, vend.slot, 1)
        self._catalog.recall_version(tx, fact.machine_id, fact.planogram_version)

    def attempted(self, tx: Transaction, fact: PaymentAttempted) -> None:
        """The order asked for money."""
        payments.attempted(tx, UUID(self._order(tx, fact.order_id)["machine_id"]), fact)

    def authorised(self, tx: Transaction, fact: PaymentAuthorised) -> None:
        """The order's money was held."""
        if payments.authorised(tx, fact):
            store.advance(tx, fact.order_id, OrderState.AUTHORISED)

    def requested(self, tx: Transaction, fact: VendRequested) -> None:
        """A device was asked for the vend."""
        if store.set_told_request(tx, fact.vend_id, fact.device_id):
            store.advance(tx, fact.order_id, OrderState.DISPENSING)
            dispensing.requested(tx, self._devices, UUID(self._order(tx, fact.order_id)["machine_id"]), fact)

    def resolved(self, tx: Transaction, fact: VendResolved) -> None:
        """The vend had its outcome."""
        if store.set_told_outcome(tx, fact.vend_id, fact.outcome):
            store.hold(tx, fact.order_id)
            inventory.reserved(tx, fact.machine_id, fact.slot, -1)
            dispensing.resolved(tx, fact.vend_id, fact.outcome)

    def settled(self, tx: Transaction, fact: PaymentCaptured | PaymentGivenBack) -> None:
        """The vend's money was earned or given back."""
        if store.set_money_settled(tx, fact.vend_id):
            payments.settled(tx, fact)

    def dispensed_unpaid(self, tx: Transaction, fact: VendDispensedUnpaid) -> None:
        """A drop was proven after the money had been given back."""
        store.set_unpaid_drop(tx, fact.vend_id)

    def voided(self, tx: Transaction, fact: PaymentVoided) -> None:
        """The order ended before its money was held."""
        payments.voided(tx, fact)

    def ended(self, tx: Transaction, fact: OrderEnded) -> None:
        """The order is over."""
        if store.advance(tx, fact.order_id, fact.state) and fact.state is OrderState.SETTLED:
            payments.closed(tx, fact.order_id)

    def finish(self, tx: Transaction) -> None:
        """All is recalled. What is still open ends: at once where no device can tell, else by what its device tells."""
        for order in store.recalled_orders(tx):
            if order["state"] == OrderState.PLACED:
                self._end_unpaid(tx, order)
            else:
                self._end_paid(tx, UUID(order["order_id"]))
        for device_id in dispensing.finish(tx):
            self._orders.request_next(tx, device_id)

    def _end_unpaid(self, tx: Transaction, order: sqlite3.Row) -> None:
        order_id, machine_id, rail = UUID(order["order_id"]), UUID(order["machine_id"]), Rail(order["rail"])
        self._payments.open(tx, order_id, machine_id, rail, order["total_minor"], order["currency"])
        self._orders.end_unpaid(tx, order_id, OrderState.EXPIRED)

    def _end_paid(self, tx: Transaction, order_id: UUID) -> None:
        """A vend that was told to wait may have run since, and nobody can say: money back, and a look at the slot."""
        vends = store.vends(tx, order_id)
        for vend in vends:
            # The cloud has a part only of what was written with the outcome.
            if vend["outcome"] is not None and store.set_money_settled(tx, UUID(vend["vend_id"])):
                self._orders.follow_up(tx, vend, VendOutcome(vend["outcome"]))
        for vend in vends:
            asked = vend["state"] == VendProgress.REQUESTED and dispensing.is_pending(tx, UUID(vend["vend_id"]))
            if vend["outcome"] is None and not asked:
                self._orders.resolve(tx, vend, VendOutcome.AMBIGUOUS, None)
        if self._order(tx, order_id)["state"] != OrderState.SETTLED:
            self._orders.end_if_settled(tx, order_id)

    def _order(self, tx: Transaction, order_id: UUID) -> sqlite3.Row:
        row = store.order(tx, order_id)
        if row is None:
            raise LookupError(f"order {order_id} is not known")
        return row
