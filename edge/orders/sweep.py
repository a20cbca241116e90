"""What moves an order on when no kiosk and no device does: money has come, a device is free, a customer is gone."""

import asyncio
import sqlite3
from uuid import UUID

from edge.clock import Clock, Moment
from edge.database import Database, Transaction
from edge.devices.service import DeviceService
from edge.dispensing.service import ROOM_KEY, DispenseService
from edge.links import LINKS_KEY
from edge.orders import rules, store
from edge.orders.rules import Next
from edge.orders.service import ORDERS_KEY, OrderService
from edge.payments.service import CREDITS_KEY, PaymentService
from edge.watch import Watch
from shared.orders import OrderState, VendOutcome, VendProgress

SWEEP_S = 1.0


class OrderSweep:
    """Looks at every open order when something has changed, and every SWEEP_S as long as one is open."""

    def __init__(
        self,
        database: Database,
        orders: OrderService,
        devices: DeviceService,
        dispenses: DispenseService,
        payments: PaymentService,
        clock: Clock,
        watch: Watch,
    ) -> None:
        self._database = database
        self._orders = orders
        self._devices = devices
        self._dispenses = dispenses
        self._payments = payments
        self._clock = clock
        self._watch = watch

    async def run(self) -> None:
        """Sweep for ever."""
        with self._watch.on(ORDERS_KEY, CREDITS_KEY, LINKS_KEY, ROOM_KEY) as changed:
            while True:
                changed.clear()
                due, is_open = await self._database.read(self._look)
                if due:
                    await self._database.unit("orders.sweep", self._sweep)
                try:
                    async with asyncio.timeout(SWEEP_S if is_open else None):
                        await changed.wait()
                except TimeoutError:
                    continue

    def _look(self, tx: Transaction) -> tuple[bool, bool]:
        """Whether an order can be moved on now, and whether any is open."""
        return bool(self._plan(tx)), bool(store.open_orders(tx))

    def _plan(self, tx: Transaction) -> list[tuple[sqlite3.Row, Next]]:
        """What time, money or a free device has made possible: (order or vend row, what to do)."""
        plan: list[tuple[sqlite3.Row, Next]] = []
        for order in store.open_orders(tx):
            quiet_s = self._clock.age(Moment(UUID(order["window_boot"]), order["window_ms"]))
            if order["state"] == OrderState.PLACED:
                paid = self._payments.can_authorise(tx, UUID(order["order_id"]))
                steps = [(order, rules.next_for_unpaid(paid=paid, quiet_s=quiet_s))]
            else:
                steps = [
                    (vend, self._next_for(tx, UUID(vend["device_id"]), quiet_s))
                    for vend in store.vends(tx, UUID(order["order_id"]))
                    if vend["state"] == VendProgress.WAITING
                ]
            plan += [(row, step) for row, step in steps if step is not Next.WAIT]
        return plan

    def _next_for(self, tx: Transaction, device_id: UUID, quiet_s: float) -> Next:
        free = self._dispenses.is_free(tx, device_id)
        return rules.next_for_waiting(online=self._devices.online(device_id), free=free, quiet_s=quiet_s)

    def _sweep(self, tx: Transaction) -> None:
        plan = self._plan(tx)
        for row, step in plan:
            if step is Next.EXPIRE:
                self._orders.end_unpaid(tx, UUID(row["order_id"]), OrderState.EXPIRED)
            elif step is Next.GIVE_UP:
                self._orders.resolve(tx, row, VendOutcome.NOT_STARTED, None)
        # Only now: what is requested must not be among the vends that are given up.
        for row, step in plan:
            if step is Next.AUTHORISE:
                self._orders.authorise(tx, UUID(row["order_id"]))
            elif step is Next.REQUEST:
                self._orders.request_next(tx, UUID(row["device_id"]))
