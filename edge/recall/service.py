"""Use cases of the recall: take facts the cloud was told, until the ledger knows again what it has lost.

One table from event to what it means to its feature. Selling goes on meanwhile; new facts wait (sync/recall.py).
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from pydantic import ValidationError

from edge.catalog.service import CatalogService, machine_key
from edge.database import Database, Transaction
from edge.inventory import recall as inventory
from edge.inventory.service import stock_key
from edge.orders.recall import OrderRecall
from edge.orders.service import ORDERS_KEY
from edge.outbox import Outbox, Recalling
from edge.payments import recall as payments
from edge.payments.service import CREDITS_KEY, credit_key
from shared.sync import FACT, FactBody

UNIT_FACTS = 100
"""So many take effect in one unit: a customer waits no longer than for these."""

FLAGS = frozenset({"slot_suspected", "slot_sensed"})

log = structlog.get_logger()


class RecallService:
    """What a restored ledger has lost, and how it comes back. Facts have ids: a crash in between costs nothing."""

    def __init__(self, database: Database, outbox: Outbox, catalog: CatalogService, orders: OrderRecall) -> None:
        self._database = database
        self._outbox = outbox
        self._catalog = catalog
        self._orders = orders
        self._features: Mapping[str, Callable[[Transaction, Any], None]] = {
            "stock_moved": inventory.moved,
            "slot_suspected": inventory.suspected,
            "slot_sensed": inventory.sensed,
            "credit_inserted": payments.inserted,
            "order_placed": orders.placed,
            "payment_attempted": orders.attempted,
            "payment_authorised": orders.authorised,
            "vend_requested": orders.requested,
            "vend_resolved": orders.resolved,
            "payment_captured": orders.settled,
            "payment_given_back": orders.settled,
            "vend_dispensed_unpaid": orders.dispensed_unpaid,
            "payment_voided": orders.voided,
            "order_ended": orders.ended,
        }

    async def wanted(self) -> Recalling | None:
        """What to ask the cloud for; None when all is known, or older facts have yet to be sent to it."""

        def work(tx: Transaction) -> Recalling | None:
            recalling = self._outbox.recalling(tx)
            if recalling is None or self._outbox.waits_below(tx, recalling.before_epoch):
                return None
            return recalling

        return await self._database.read(work)

    async def take(self, epoch: int, first_seq: int, lines: Sequence[bytes]) -> None:
        """Let facts of an epoch take effect, in order, those that are known excepted. Raises StorageFull."""
        for start in range(0, len(lines), UNIT_FACTS):
            some = lines[start : start + UNIT_FACTS]
            last = first_seq + start + len(some) - 1

            def work(tx: Transaction, some: Sequence[bytes] = some, last: int = last) -> None:
                for line in some:
                    self._take_one(tx, line)
                self._outbox.recalled(tx, epoch, last)

            await self._database.unit("recall.take", work)
        log.info("facts_recalled", epoch=epoch, count=len(lines))

    async def finish(self) -> None:
        """Nothing is left to recall: bring to its end what was open, and let new facts go. Raises StorageFull."""

        def work(tx: Transaction) -> None:
            # What this ledger has seen since it was restored has the last word.
            for body in self._outbox.written(tx, self._outbox.position(tx).epoch, FLAGS):
                self._features[body.event](tx, body)
            payments.finish(tx)
            self._outbox.end_recall(tx)
            self._orders.finish(tx)
            for machine in self._catalog.machines(tx):
                key = machine.machine_id
                tx.touch(machine_key(key), stock_key(key), credit_key(key), CREDITS_KEY, ORDERS_KEY)

        await self._database.unit("recall.finish", work)
        log.info("recall_finished")

    def _take_one(self, tx: Transaction, line: bytes) -> None:
        try:
            body: FactBody = FACT.validate_json(line).body
            if body.event in self._features:
                with tx.attempt():
                    self._features[body.event](tx, body)
        except (ValidationError, LookupError, sqlite3.IntegrityError) as error:
            log.error("fact_not_recalled", error=type(error).__name__, line=line[:60].decode(errors="replace"))
