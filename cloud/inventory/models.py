"""Stock as operators see it, ask for it to move, and look back on how it did."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from cloud.exports import ExportFormat
from cloud.lists import Listing, PageQuery, Sort
from shared.contract import Instant, Message, SlotCode
from shared.inventory import Delta, Reason


class StockLevel(Message):
    """One slot's stock: the sum of its movements."""

    machine_id: UUID
    slot: SlotCode
    quantity: int
    suspect: bool
    sensed_empty: bool | None


class StockQuery(PageQuery):
    """Stock by machine and slot."""

    row = StockLevel

    machine_id: UUID | None = None
    product_id: Annotated[UUID | None, Field(description="Slots that have this product by the planogram in force.")] = (
        None
    )


class StockPage(Message):
    """A page of stock by machine and slot."""

    stock: tuple[StockLevel, ...]
    next_cursor: str | None


STOCK = Listing(
    name="stock",
    row=StockLevel,
    page=StockPage,
    table="stock s",
    show="SELECT s.machine_id, s.slot, s.quantity, s.suspect, s.sensed_empty FROM {picked}",
    read=lambda row: StockLevel(**row),
    sorts={"machine_id": Sort({"machine_id": "s.machine_id", "slot": "s.slot"})},
    filters={
        "machine_id": "s.machine_id = {}",
        "product_id": """(s.machine_id, s.slot) IN (
            SELECT p.machine_id, c.slot
            FROM planogram_slots c JOIN planograms p ON p.tenant_id = c.tenant_id AND p.id = c.planogram_id
            WHERE c.product_id = {} AND p.version = (
                SELECT max(q.version) FROM planograms q WHERE q.tenant_id = p.tenant_id
                    AND q.machine_id = p.machine_id AND q.effective_at <= now()))""",
    },
)


class StockMove(Message):
    """Units to add to a slot, or to take from it: in a count, what was found less what was shown."""

    slot: SlotCode
    delta: Delta
    reason: Literal[Reason.RESTOCK, Reason.COUNT, Reason.WASTE, Reason.ADJUST]


class StockWish(Message):
    """What shall move in a machine."""

    moves: Annotated[tuple[StockMove, ...], Field(min_length=1, max_length=240)]


class StockAsked(Message):
    """The machine's gateway was asked; each movement is in the list of movements once it is done."""

    machine_id: UUID
    movement_ids: tuple[UUID, ...]


class MovementRow(Message):
    """A signed change of a slot's stock, which has happened."""

    movement_id: UUID
    machine_id: UUID
    slot: SlotCode
    delta: int
    reason: Reason
    vend_id: UUID | None
    at: Instant


class MovementFilters(Message):
    """Which movements."""

    machine_id: UUID | None = None
    slot: SlotCode | None = None
    reason: Reason | None = None
    at_from: Annotated[Instant | None, Field(description="Moved then or later.")] = None
    at_to: Annotated[Instant | None, Field(description="Moved before then.")] = None


class MovementQuery(MovementFilters, PageQuery):
    """Movements of stock by machine, slot and time."""

    row = MovementRow


class MovementExport(MovementFilters):
    """Movements as a file."""

    format: ExportFormat


class MovementPage(Message):
    """A page of movements by machine, slot and time."""

    movements: tuple[MovementRow, ...]
    next_cursor: str | None


MOVEMENTS = Listing(
    name="movements",
    row=MovementRow,
    page=MovementPage,
    table="stock_movements v",
    show="SELECT v.id AS movement_id, v.machine_id, v.slot, v.delta, v.reason, v.vend_id, v.at FROM {picked}",
    read=lambda row: MovementRow(**{**row, "reason": Reason(row["reason"])}),
    sorts={
        "machine_id": Sort({"machine_id": "v.machine_id", "slot": "v.slot", "at": "v.at", "movement_id": "v.id"}),
    },
    filters={
        "machine_id": "v.machine_id = {}",
        "slot": "v.slot = {}",
        "reason": "v.reason = {}",
        "at_from": "v.at >= {}",
        "at_to": "v.at < {}",
    },
)
