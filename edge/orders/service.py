"""Use cases of orders: place, cancel, settle what devices report, give up what nobody will report."""

import hashlib
import sqlite3
from typing import Literal
from uuid import UUID

import structlog

from edge.catalog.service import CatalogService
from edge.clock import Clock, new_id
from edge.database import Database, Transaction
from edge.devices.service import DeviceService
from edge.dispensing.rules import CancelReason
from edge.dispensing.service import DispenseService, News
from edge.errors import Refused, StorageFull, Unavailable
from edge.inventory.service import InventoryService
from edge.orders import rules, store
from edge.outbox import Outbox
from edge.payments.rules import is_earned
from edge.payments.service import PaymentService
from shared.contract import Rail
from shared.devices import Evidence, VendReport
from shared.errors import Code
from shared.orders import (
    OrderEnded,
    OrderState,
    OrderView,
    PlaceOrder,
    VendCancelRequested,
    VendDispensedUnpaid,
    VendOutcome,
    VendProgress,
    VendRequested,
    VendResolved,
)
from shared.topics import Topic

ORDERS_KEY = "orders"
"""Touched when an order is placed, or money for one may have come (watch.py)."""

_Unpaid = Literal[OrderState.CANCELLED, OrderState.EXPIRED]
_Ended = Literal[OrderState.SETTLED, OrderState.CANCELLED, OrderState.EXPIRED]

log = structlog.get_logger()


def order_key(order_id: UUID) -> str:
    """Touched when anything a kiosk shows of this order has changed, but for what its device says (watch.py)."""
    return f"order:{order_id}"


class OrderService:
    """The life of every order. What is awaited is one transaction and what must follow it; the rest is part of one."""

    def __init__(
        self,
        database: Database,
        catalog: CatalogService,
        inventory: InventoryService,
        devices: DeviceService,
        dispenses: DispenseService,
        payments: PaymentService,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._inventory = inventory
        self._devices = devices
        self._dispenses = dispenses
        self._payments = payments
        self._outbox = outbox
        self._clock = clock

    async def place(self, key: UUID, wish: PlaceOrder) -> tuple[OrderView, bool]:
        """Place an order, once for an idempotency key; the order, and whether it is new.

        Stock is reserved and prices are frozen before this returns; what needs no money is on its way to the device.
        At a cash machine it cancels what was ordered before and is not paid for.
        Raises Refused (price_changed, sold_out, slot_suspect, slot_locked, unknown_machine, unknown_slot,
        out_of_service, idempotency_key_reused) and Unavailable (machine_offline, storage_full).
        """
        digest = hashlib.sha256(wish.to_line()).hexdigest()

        def work(tx: Transaction) -> tuple[UUID, bool]:
            known = store.order_by_key(tx, key)
            if known is None:
                return self._place(tx, key, digest, wish), True
            if known["request_sha256"] != digest:
                raise Refused(Code.IDEMPOTENCY_KEY_REUSED, "This key was used for another order.")
            return UUID(known["order_id"]), False

        order_id, is_new = await self._database.unit("orders.place", work)
        said = "order_placed" if is_new else "order_repeated"
        log.info(said, order_id=str(order_id), machine_id=str(wish.machine_id))
        # Read only now: the command is on its way to the device before the answer is made.
        return await self.view(order_id), is_new

    async def view(self, order_id: UUID) -> OrderView:
        """The order as it is now. Raises Refused (unknown_order)."""
        return await self._database.read(lambda tx: self._view(tx, order_id))

    def is_open_at(self, tx: Transaction, device_id: UUID) -> bool:
        """Whether an order that has not ended wants something of this device."""
        return store.is_open_at(tx, device_id)

    async def count_by_state(self) -> dict[str, int]:
        """How many orders are in each state."""
        return await self._database.read(store.count_by_state)

    async def cancel(self, order_id: UUID) -> OrderView:
        """Stop what has not started; what has is reported as ever. Raises Refused (unknown_order)."""

        def work(tx: Transaction) -> OrderView:
            state = self._view(tx, order_id).state
            if store.is_recalled(tx, order_id):
                return self._view(tx, order_id)
            if state is OrderState.PLACED:
                self.end_unpaid(tx, order_id, OrderState.CANCELLED)
            elif state in rules.OPEN_STATES:
                vends = store.vends(tx, order_id)
                for vend in vends:
                    self._cancel_vend(tx, vend)
                for device_id in _devices_of(vends):
                    self.request_next(tx, device_id)
            return self._view(tx, order_id)

        return await self._database.unit("orders.cancel", work)

    async def record_outcome(self, topic: Topic, report: VendReport) -> None:
        """Settle a device's report (G5), then acknowledge it to the device."""

        def work(tx: Transaction) -> News:
            vend = store.vend(tx, report.vend_id)
            if vend is not None and vend["device_id"] != str(topic.device_id):
                return News.FOREIGN_VEND
            recalled = vend is None or store.is_recalled(tx, UUID(vend["order_id"]))
            if recalled and self._outbox.recalling(tx) is not None:
                return News.TOO_EARLY
            news, outcome = self._dispenses.settle(tx, topic, report)
            if vend is not None and news is News.OUTCOME and vend["outcome"] is None:
                self.resolve(tx, vend, outcome, report.evidence)
                self.request_next(tx, UUID(vend["device_id"]))
            elif vend is not None and news is not News.FOREIGN_VEND and rules.is_unpaid_drop(outcome, vend["outcome"]):
                self._record_unpaid_drop(tx, vend, report.evidence)
            elif vend is None and outcome is VendOutcome.DISPENSED and report.slot is not None:
                # A restored ledger has forgotten the order, the cloud never knew it; the product is gone all the same.
                self._inventory.take(tx, topic.machine_id, report.slot, report.vend_id, known=False)
            return news

        news = await self._database.unit("orders.record_outcome", work)
        log.info("vend_reported", vend_id=str(report.vend_id), result=report.result, news=news.value)
        if news not in (News.FOREIGN_VEND, News.TOO_EARLY):
            self._dispenses.acknowledge(topic, report)

    async def begin_cancel(self, vend_id: UUID, reason: CancelReason) -> None:
        """The device has not answered in time, or will never accept it: commit the wish to cancel (G4)."""

        def work(tx: Transaction) -> None:
            vend = store.vend(tx, vend_id)
            if vend is not None and self._dispenses.cancel(tx, vend_id):
                fact = VendCancelRequested(order_id=UUID(vend["order_id"]), vend_id=vend_id, reason=reason)
                self._outbox.append(tx, fact)

        await self._database.unit("orders.begin_cancel", work)

    async def end_unanswered(self, vend_id: UUID, outcome: VendOutcome) -> None:
        """No report will settle this vend any more: commit this outcome."""

        def work(tx: Transaction) -> None:
            vend = store.vend(tx, vend_id)
            if vend is not None and (proven := self._dispenses.end(tx, vend_id, outcome)) is not None:
                self.resolve(tx, vend, proven, None)
                self.request_next(tx, UUID(vend["device_id"]))

        await self._database.unit("orders.end_unanswered", work)

    def _place(self, tx: Transaction, key: UUID, digest: str, wish: PlaceOrder) -> UUID:
        quantities = rules.quantities(wish.lines)
        offer = self._catalog.offer(tx, wish.machine_id, quantities.keys())
        if not self._database.has_room():
            raise StorageFull
        rules.check(offer, wish)
        devices = {slot: offered.device_id for slot, offered in offer.slots.items()}
        if not all(self._devices.online(device_id) for device_id in devices.values()):
            raise Unavailable(Code.MACHINE_OFFLINE, "The machine does not answer. Nothing was charged.")
        if offer.machine.rail is Rail.CASH:
            self._end_unpaid_of(tx, wish.machine_id)
        for slot, quantity in quantities.items():
            self._inventory.reserve(tx, wish.machine_id, slot, quantity)
        placed = rules.priced(offer, wish, new_id, self._clock.now())
        machine, amount = offer.machine, placed.total_minor
        held = self._payments.hold(tx, machine.machine_id, machine.rail, amount)
        state = OrderState.AUTHORISED if held else OrderState.PLACED
        store.add_order(tx, placed, state, key, digest, self._clock.moment())
        store.add_vends(tx, placed, devices)
        self._catalog.pin_version(tx, offer)
        self._outbox.append(tx, placed)
        tx.touch(ORDERS_KEY)
        self._payments.attempt(
            tx, placed.order_id, machine.machine_id, machine.rail, amount, machine.currency, held=held
        )
        for device_id in set(devices.values()) if held else ():
            self.request_next(tx, device_id)
        return placed.order_id

    def _end_unpaid_of(self, tx: Transaction, machine_id: UUID) -> None:
        """Whoever orders now will insert the next coins: an earlier order must not wait for them any more."""
        for order in store.open_orders(tx):
            if order["machine_id"] == str(machine_id) and order["state"] == OrderState.PLACED:
                order_id = UUID(order["order_id"])
                if not self.authorise(tx, order_id):
                    self.end_unpaid(tx, order_id, OrderState.CANCELLED)

    def authorise(self, tx: Transaction, order_id: UUID) -> bool:
        """Hold the money of an unpaid order (G2) and begin to dispense it, if there is enough by now; whether it is."""
        if not self._payments.authorise(tx, order_id):
            return False
        self._begin_dispensing(tx, order_id, _devices_of(store.vends(tx, order_id)))
        return True

    def _begin_dispensing(self, tx: Transaction, order_id: UUID, devices: set[UUID]) -> None:
        store.advance_to(tx, order_id, OrderState.AUTHORISED, self._clock.moment())
        tx.touch(order_key(order_id))
        for device_id in devices:
            self.request_next(tx, device_id)

    def request_next(self, tx: Transaction, device_id: UUID) -> None:
        """Ask the device for its next waiting vend, if it is there and has room (G3); first, for what it did of old."""
        turning = self._dispenses.turning(tx, device_id)
        if turning is None or self._dispenses.resume(tx, device_id):
            return
        if not self._devices.online(device_id):
            return
        vend = next((vend for vend in store.waiting(tx, device_id) if vend["slot"] not in turning), None)
        if vend is None:
            return
        order_id, vend_id = UUID(vend["order_id"]), UUID(vend["vend_id"])
        epoch, seq = self._dispenses.request(tx, vend_id, UUID(vend["machine_id"]), device_id, vend["slot"])
        store.set_requested(tx, vend_id)
        store.advance_to(tx, order_id, OrderState.DISPENSING, self._clock.moment())
        tx.touch(order_key(order_id))
        self._outbox.append(
            tx,
            VendRequested(
                order_id=order_id,
                vend_id=vend_id,
                device_id=device_id,
                slot=vend["slot"],
                device_epoch=epoch,
                device_seq=seq,
            ),
        )

    def _cancel_vend(self, tx: Transaction, vend: sqlite3.Row) -> None:
        vend_id = UUID(vend["vend_id"])
        if vend["state"] == VendProgress.WAITING:
            self.resolve(tx, vend, VendOutcome.CANCELLED, None)
        elif vend["state"] == VendProgress.REQUESTED and self._dispenses.cancel(tx, vend_id):
            fact = VendCancelRequested(order_id=UUID(vend["order_id"]), vend_id=vend_id, reason="customer")
            self._outbox.append(tx, fact)

    def resolve(self, tx: Transaction, vend: sqlite3.Row, outcome: VendOutcome, evidence: Evidence | None) -> None:
        """Give a vend of an authorised order its outcome, and slot, money and order what follows from it.

        Asking its device for the next vend is left to the caller: it may have more vends to resolve first.
        """
        order_id = UUID(vend["order_id"])
        if not self._close_vend(tx, vend, outcome, evidence):
            return
        self.follow_up(tx, vend, outcome)
        store.begin_window(tx, order_id, self._clock.moment())
        self.end_if_settled(tx, order_id)

    def follow_up(self, tx: Transaction, vend: sqlite3.Row, outcome: VendOutcome) -> None:
        """What an outcome means for slot and money."""
        order_id, vend_id, machine_id = UUID(vend["order_id"]), UUID(vend["vend_id"]), UUID(vend["machine_id"])
        if outcome is VendOutcome.DISPENSED:
            self._inventory.take(tx, machine_id, vend["slot"], vend_id)
        if rules.makes_suspect(outcome):
            self._inventory.suspect(tx, machine_id, vend["slot"], vend_id)
        self._payments.settle_vend(tx, order_id, vend_id, vend["price_minor"], earned=is_earned(outcome))

    def end_if_settled(self, tx: Transaction, order_id: UUID) -> None:
        """End an authorised order once every vend has its outcome."""
        if rules.is_settled(row["outcome"] for row in store.vends(tx, order_id)):
            captured, given_back = self._payments.close(tx, order_id)
            self._end_order(tx, order_id, OrderState.SETTLED, captured, given_back)

    def end_unpaid(self, tx: Transaction, order_id: UUID, state: _Unpaid) -> None:
        """End an order whose money was never held."""
        for vend in store.vends(tx, order_id):
            self._close_vend(tx, vend, VendOutcome.CANCELLED, None)
        self._payments.void(tx, order_id)
        self._end_order(tx, order_id, state, 0, 0)

    def _close_vend(self, tx: Transaction, vend: sqlite3.Row, outcome: VendOutcome, evidence: Evidence | None) -> bool:
        order_id, vend_id, machine_id = UUID(vend["order_id"]), UUID(vend["vend_id"]), UUID(vend["machine_id"])
        if not store.set_outcome(tx, vend_id, outcome):
            return False
        self._inventory.release(tx, machine_id, vend["slot"])
        tx.touch(order_key(order_id))
        self._outbox.append(
            tx,
            VendResolved(
                order_id=order_id,
                vend_id=vend_id,
                machine_id=machine_id,
                slot=vend["slot"],
                outcome=outcome,
                evidence=evidence,
            ),
        )
        return True

    def _end_order(self, tx: Transaction, order_id: UUID, state: _Ended, captured: int, given_back: int) -> None:
        machine_id = self._view(tx, order_id).machine_id
        store.set_state(tx, order_id, state)
        tx.touch(order_key(order_id))
        self._outbox.append(
            tx,
            OrderEnded(
                order_id=order_id,
                machine_id=machine_id,
                state=state,
                captured_minor=captured,
                given_back_minor=given_back,
            ),
        )

    def _record_unpaid_drop(self, tx: Transaction, vend: sqlite3.Row, evidence: Evidence | None) -> None:
        order_id, vend_id, machine_id = UUID(vend["order_id"]), UUID(vend["vend_id"]), UUID(vend["machine_id"])
        if store.set_unpaid_drop(tx, vend_id):
            self._inventory.take(tx, machine_id, vend["slot"], vend_id)
            fact = VendDispensedUnpaid(
                order_id=order_id, vend_id=vend_id, machine_id=machine_id, slot=vend["slot"], evidence=evidence
            )
            self._outbox.append(tx, fact)

    def _view(self, tx: Transaction, order_id: UUID) -> OrderView:
        order = store.order(tx, order_id)
        if order is None:
            raise Refused(Code.UNKNOWN_ORDER, "There is no such order.")
        machine_id = UUID(order["machine_id"])
        unpaid = order["state"] == OrderState.PLACED and order["rail"] == Rail.CASH
        due = max(0, order["total_minor"] - self._payments.credit(tx, machine_id)) if unpaid else 0
        return OrderView(
            order_id=order_id,
            machine_id=machine_id,
            state=OrderState(order["state"]),
            rail=Rail(order["rail"]),
            currency=order["currency"],
            total_minor=order["total_minor"],
            due_minor=due,
            given_back_minor=self._payments.given_back(tx, order_id),
            vends=tuple(
                rules.vend_view(vend, running=self._dispenses.running(UUID(vend["vend_id"])))
                for vend in store.vends(tx, order_id)
            ),
        )


def _devices_of(vends: list[sqlite3.Row]) -> set[UUID]:
    return {UUID(vend["device_id"]) for vend in vends}
