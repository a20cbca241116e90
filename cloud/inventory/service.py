"""Stock: taken from facts in whole batches, asked for by people, shown to both."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

from pydantic import Field

from cloud.clock import new_id
from cloud.database import Transaction, columns, values
from cloud.inventory.rules import SlotStep, slot_steps
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.onboarding.service import append_changes
from shared.contract import Message, SlotCode
from shared.inventory import Reason, StockInstruction
from shared.sync import Fact

_MOVEMENTS = """
    WITH moved AS (
        INSERT INTO stock_movements (tenant_id, id, machine_id, slot, delta, reason, vend_id, at)
        SELECT $1, * FROM unnest(
            $2::uuid[], $3::uuid[], $4::text[], $5::integer[], $6::text[], $7::uuid[], $8::timestamptz[])
        ON CONFLICT ON CONSTRAINT stock_movements_pkey DO NOTHING RETURNING id, reason, at
    ), answered AS (
        UPDATE stock_instructions SET applied_at = moved.at FROM moved
        WHERE stock_instructions.id = moved.id AND moved.reason <> 'vend' AND applied_at IS NULL
    )
    SELECT id FROM moved
"""
_STOCK = """
    MERGE INTO stock USING unnest($2::uuid[], $3::text[], $4::integer[], $5::boolean[], $6::boolean[])
        AS u (machine_id, slot, delta, suspect, sensed_empty)
    ON stock.tenant_id = $1 AND stock.machine_id = u.machine_id AND stock.slot = u.slot
    WHEN MATCHED THEN UPDATE SET
        quantity = stock.quantity + u.delta,
        suspect = coalesce(u.suspect, stock.suspect),
        sensed_empty = coalesce(u.sensed_empty, stock.sensed_empty)
    WHEN NOT MATCHED THEN INSERT (tenant_id, machine_id, slot, quantity, suspect, sensed_empty)
        VALUES ($1, u.machine_id, u.slot, u.delta, coalesce(u.suspect, false), u.sensed_empty)
"""
"""Nobody else adds a slot meanwhile: a machine has one gateway, whose row ingest holds locked."""
_INSTRUCT = """
    INSERT INTO stock_instructions (tenant_id, id, machine_id, slot, delta, reason) VALUES ($1, $2, $3, $4, $5, $6)
"""
_PENDING = """
    SELECT i.id, i.machine_id, i.slot, i.delta, i.reason FROM stock_instructions i
    JOIN machines m ON m.tenant_id = i.tenant_id AND m.id = i.machine_id
    WHERE m.site_id = $1 AND i.applied_at IS NULL ORDER BY i.created_at, i.id
"""


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


_STOCK_LEVELS = Listing(
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


async def record(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Movements and the instructions they answer, the sum of each slot, and what people and sensors say of it.

    A movement id that is known moves nothing: a restored gateway may tell again what it no longer remembers.
    """
    moved = [(fact.at, fact.body) for fact in facts if fact.body.event == "stock_moved"]
    if moved:
        rows = [(m.movement_id, m.machine_id, m.slot, m.delta, m.reason, m.vend_id, at) for at, m in moved]
        new = {row["id"] for row in await transaction.fetch(_MOVEMENTS, tenant_id, *columns(rows))}
        if len(new) < len(moved):
            facts = [fact for fact in facts if fact.body.event != "stock_moved" or _take(new, fact.body.movement_id)]
    await _take_steps(transaction, tenant_id, slot_steps(facts))


def _take(ids: set[UUID], wanted: UUID) -> bool:
    """Whether `wanted` was among the ids; it is no longer."""
    if wanted not in ids:
        return False
    ids.remove(wanted)
    return True


async def restate(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """What facts in effect last said of slots stands again; nothing moves a second time."""
    steps = slot_steps(facts)
    for step in steps.values():
        step.delta = 0
    await _take_steps(transaction, tenant_id, steps)


async def _take_steps(transaction: Transaction, tenant_id: UUID, steps: Mapping[tuple[UUID, str], SlotStep]) -> None:
    if steps:
        await transaction.send(_STOCK, tenant_id, *columns([(*key, *values(step)) for key, step in steps.items()]))


async def instruct(
    transaction: Transaction, tenant_id: UUID, site_id: UUID, machine_id: UUID, moves: Sequence[tuple[str, int, Reason]]
) -> None:
    """Inside a unit of the tenant: ask the machine's gateway to move stock, slot by slot: (slot, delta, reason)."""
    wishes = [
        StockInstruction(movement_id=new_id(), machine_id=machine_id, slot=slot, delta=delta, reason=reason)
        for slot, delta, reason in moves
    ]
    for wish in wishes:
        await transaction.execute(
            _INSTRUCT, tenant_id, wish.movement_id, wish.machine_id, wish.slot, wish.delta, wish.reason
        )
    await append_changes(transaction, site_id, wishes)


async def pending(transaction: Transaction, site_id: UUID) -> list[StockInstruction]:
    """Instructions that no fact has answered yet."""
    return [
        StockInstruction(
            movement_id=row["id"],
            machine_id=row["machine_id"],
            slot=row["slot"],
            delta=row["delta"],
            reason=Reason(row["reason"]),
        )
        for row in await transaction.fetch(_PENDING, site_id)
    ]


async def stock_page(transaction: Transaction, query: StockQuery) -> StockPage:
    """The stock that is asked for. Raises Refused for a cursor that is not its."""
    return await read_page(transaction, _STOCK_LEVELS, query)
