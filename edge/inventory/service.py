"""Use cases of stock. Everything but `sense` works inside a transaction of the caller."""

from dataclasses import dataclass
from uuid import UUID

from edge.database import Database, Transaction
from edge.errors import Refused
from edge.inventory import rules, store
from edge.outbox import Outbox
from shared.catalog import SlotState
from shared.devices import StockSensed
from shared.errors import Code
from shared.inventory import CLEARS_SUSPICION, Reason, SlotSensed, SlotSuspected, StockInstruction, StockMoved
from shared.topics import Topic


@dataclass(frozen=True, slots=True)
class Level:
    """The stock of a slot. `available` is what may still be sold."""

    slot: str
    on_hand: int
    reserved: int
    available: int
    suspect: bool
    locked: bool
    """Its zone was too warm."""


def state_of(level: Level | None, *, online: bool) -> SlotState:
    """Whether a customer may choose the slot with this stock, if it has any; online: so is the device that turns it."""
    if level is None:
        return rules.slot_state(0, suspect=False, locked=False, online=online)
    return rules.slot_state(level.available, suspect=level.suspect, locked=level.locked, online=online)


def stock_key(machine_id: UUID) -> str:
    """Touched when stock of the machine has changed (watch.py)."""
    return f"stock:{machine_id}"


class InventoryService:
    """Reservations, movements and suspicion."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    def levels(self, tx: Transaction, machine_id: UUID) -> dict[str, Level]:
        """The stock of each slot of a machine, by slot."""
        levels = {}
        for row in store.levels(tx, machine_id):
            units = rules.available(row["on_hand"], row["reserved"], sensed_empty=bool(row["sensed_empty"]))
            flags = bool(row["suspect"]), bool(row["locked"])
            levels[row["slot"]] = Level(row["slot"], row["on_hand"], row["reserved"], units, *flags)
        return levels

    def reserve(self, tx: Transaction, machine_id: UUID, slot: str, quantity: int) -> None:
        """Keep units for an order. Raises Refused (sold_out, slot_suspect, slot_locked)."""
        row = store.level(tx, machine_id, slot)
        if row is not None and row["locked"]:
            raise Refused(Code.SLOT_LOCKED, f"Slot {slot} was too warm. Nothing is sold from it.")
        if row is not None and row["suspect"]:
            raise Refused(Code.SLOT_SUSPECT, f"Slot {slot} is out of service until a technician has looked at it.")
        sensed_empty = row is not None and bool(row["sensed_empty"])
        units = rules.available(row["on_hand"], row["reserved"], sensed_empty=sensed_empty) if row else 0
        if units < quantity:
            raise Refused(Code.SOLD_OUT, f"Slot {slot} has {units} left." if units else f"Slot {slot} is sold out.")
        store.reserve(tx, machine_id, slot, quantity)
        tx.touch(stock_key(machine_id))

    def release(self, tx: Transaction, machine_id: UUID, slot: str) -> None:
        """Give one reserved unit back to the slot."""
        store.reserve(tx, machine_id, slot, -1)
        tx.touch(stock_key(machine_id))

    def take(self, tx: Transaction, machine_id: UUID, slot: str, vend_id: UUID, *, known: bool = True) -> None:
        """Book the unit that this vend dropped, once for a vend. A reservation is released by `release`.

        The movement bears the vend's id: told twice, by a ledger that was restored in between, it counts once.
        known: the cloud has heard, or will hear, of the order; only then may the fact refer to the vend.
        """
        moved = StockMoved(
            movement_id=vend_id,
            machine_id=machine_id,
            slot=slot,
            delta=-1,
            reason=Reason.VEND,
            vend_id=vend_id if known else None,
        )
        self._book(tx, moved)

    def suspect(self, tx: Transaction, machine_id: UUID, slot: str, vend_id: UUID) -> None:
        """Take the slot out of sale until a person has looked."""
        if store.set_suspect(tx, machine_id, slot, suspect=True):
            self._outbox.append(tx, SlotSuspected(machine_id=machine_id, slot=slot, vend_id=vend_id))
            tx.touch(stock_key(machine_id))

    def lock(self, tx: Transaction, machine_id: UUID, slots: frozenset[str]) -> None:
        """These slots of the machine, and no others, lie in a zone that was too warm."""
        store.set_locked(tx, machine_id, slots)
        tx.touch(stock_key(machine_id))

    def apply_instruction(self, tx: Transaction, change: StockInstruction) -> None:
        """Carry out a stock movement the cloud asks for, once for a movement id."""
        moved = StockMoved(
            movement_id=change.movement_id,
            machine_id=change.machine_id,
            slot=change.slot,
            delta=change.delta,
            reason=change.reason,
        )
        if self._book(tx, moved) and change.reason in CLEARS_SUSPICION:
            store.set_suspect(tx, change.machine_id, change.slot, suspect=False)

    async def sense(self, topic: Topic, sensed: StockSensed) -> None:
        """Take what a slot's own sensor says."""

        def work(tx: Transaction) -> None:
            if store.set_sensed_empty(tx, topic.machine_id, sensed.slot, empty=sensed.empty):
                self._outbox.append(tx, SlotSensed(machine_id=topic.machine_id, slot=sensed.slot, empty=sensed.empty))
                tx.touch(stock_key(topic.machine_id))

        await self._database.unit("inventory.sense", work)

    def _book(self, tx: Transaction, moved: StockMoved) -> bool:
        if not store.add_movement(tx, moved):
            return False
        self._outbox.append(tx, moved)
        tx.touch(stock_key(moved.machine_id))
        return True
