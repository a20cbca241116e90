"""Stock facts heard again from the cloud: they move the ledger and write nothing new."""

from uuid import UUID

from edge.database import Transaction
from edge.inventory import store
from shared.inventory import CLEARS_SUSPICION, SlotSensed, SlotSuspected, StockMoved


def moved(tx: Transaction, fact: StockMoved) -> None:
    """Move the stock, once for a movement. What clears suspicion does so again: facts come in their order."""
    store.add_movement(tx, fact)
    if fact.reason in CLEARS_SUSPICION:
        store.set_suspect(tx, fact.machine_id, fact.slot, suspect=False)


def suspected(tx: Transaction, fact: SlotSuspected) -> None:
    """Take the slot out of sale."""
    store.set_suspect(tx, fact.machine_id, fact.slot, suspect=True)


def sensed(tx: Transaction, fact: SlotSensed) -> None:
    """What the slot's sensor said."""
    store.set_sensed_empty(tx, fact.machine_id, fact.slot, empty=fact.empty)


def reserved(tx: Transaction, machine_id: UUID, slot: str, quantity: int) -> None:
    """Units an order was promised, or gives back. More may be promised than there are: then no more is."""
    store.add_slot(tx, machine_id, slot)
    store.reserve(tx, machine_id, slot, quantity)
