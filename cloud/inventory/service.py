"""Stock: taken from facts in whole batches, asked for by people, shown to both."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.clock import new_id
from cloud.database import Transaction, columns, values
from cloud.errors import NotFound, Refused
from cloud.inventory.models import (
    MOVEMENTS,
    STOCK,
    MovementPage,
    MovementQuery,
    StockAsked,
    StockPage,
    StockQuery,
    StockWish,
)
from cloud.inventory.rules import SlotStep, slot_steps, wrong_moves
from cloud.lists import read_page
from cloud.onboarding.service import append_changes, lock_gateways
from shared.errors import Code
from shared.inventory import Reason, StockInstruction
from shared.sync import Fact

_MOVEMENTS = """
    WITH told AS (
        SELECT * FROM unnest(
            $2::uuid[], $3::uuid[], $4::text[], $5::integer[], $6::text[], $7::uuid[], $8::timestamptz[])
            AS u (id, machine_id, slot, delta, reason, vend_id, at)
    ), moved AS (
        INSERT INTO stock_movements (tenant_id, id, machine_id, slot, delta, reason, vend_id, at)
        SELECT $1, * FROM told
        ON CONFLICT ON CONSTRAINT stock_movements_pkey DO NOTHING RETURNING id
    ), answered AS (
        UPDATE stock_instructions SET applied_at = told.at FROM told
        WHERE stock_instructions.id = told.id AND told.reason <> 'vend' AND applied_at IS NULL
    )
    SELECT id FROM moved
"""
_OPEN = """
    INSERT INTO stock_movements (tenant_id, id, machine_id, slot, delta, reason, vend_id, at)
    SELECT $1, * FROM unnest(
        $2::uuid[], $3::uuid[], $4::text[], $5::integer[], $6::text[], $7::uuid[], $8::timestamptz[])
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
    INSERT INTO stock_instructions (tenant_id, id, machine_id, slot, delta, reason)
    SELECT $1, u.id, $2, u.slot, u.delta, u.reason
    FROM unnest($3::uuid[], $4::text[], $5::integer[], $6::text[]) AS u (id, slot, delta, reason)
"""
_PLANNED = """
    SELECT m.site_id, s.slot FROM machines m
    LEFT JOIN planograms p ON p.tenant_id = m.tenant_id AND p.machine_id = m.id AND p.version = (
        SELECT max(q.version) FROM planograms q
        WHERE q.tenant_id = m.tenant_id AND q.machine_id = m.id AND q.effective_at <= now())
    LEFT JOIN planogram_slots s ON s.tenant_id = p.tenant_id AND s.planogram_id = p.id
    WHERE m.id = $1
"""
_PENDING = """
    SELECT i.id, i.machine_id, i.slot, i.delta, i.reason FROM stock_instructions i
    JOIN machines m ON m.tenant_id = i.tenant_id AND m.id = i.machine_id
    WHERE m.site_id = $1 AND i.applied_at IS NULL ORDER BY i.created_at, i.id
"""


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
) -> list[UUID]:
    """Inside a unit of the tenant: ask the machine's gateway to move stock, slot by slot: (slot, delta, reason).

    Returns the ids of the movements to be.
    """
    wishes = [
        StockInstruction(movement_id=new_id(), machine_id=machine_id, slot=slot, delta=delta, reason=reason)
        for slot, delta, reason in moves
    ]
    rows = [(wish.movement_id, wish.slot, wish.delta, wish.reason) for wish in wishes]
    await transaction.execute(_INSTRUCT, tenant_id, machine_id, *columns(rows))
    await append_changes(transaction, site_id, wishes)
    return [wish.movement_id for wish in wishes]


async def open_stock(
    transaction: Transaction,
    tenant_id: UUID,
    site_id: UUID,
    machine_id: UUID,
    quantities: Sequence[tuple[str, int]],
    now: datetime,
) -> None:
    """Inside a unit of the tenant: what is in the slots of a machine that no gateway has told of yet: (slot, units).

    It counts here at once. The gateway that comes is asked to open its own books with the same movements, and tells of
    them under the same ids, which move nothing again.
    """
    await lock_gateways(transaction, [site_id])
    moves = [(slot, delta, Reason.OPENING) for slot, delta in quantities]
    ids = await instruct(transaction, tenant_id, site_id, machine_id, moves)
    rows = [
        (key, machine_id, slot, delta, Reason.OPENING, None, now)
        for key, (slot, delta) in zip(ids, quantities, strict=True)
    ]
    await transaction.execute(_OPEN, tenant_id, *columns(rows))
    steps = {(machine_id, slot): SlotStep(delta) for slot, delta in quantities}
    await _take_steps(transaction, tenant_id, steps)


async def ask(transaction: Transaction, operator: Operator, machine_id: UUID, wish: StockWish) -> StockAsked:
    """Inside a unit of the tenant: as `instruct`. Raises NotFound, Refused with the moves that cannot be."""
    rows = await transaction.fetch(_PLANNED, machine_id)
    if not rows:
        raise NotFound
    wrong = wrong_moves(wish.moves, {row["slot"] for row in rows})
    if wrong:
        raise Refused(Code.VALIDATION_FAILED, "Some moves are wrong.", errors=wrong)
    moves = [(move.slot, move.delta, move.reason) for move in wish.moves]
    ids = await instruct(transaction, operator.tenant_id, rows[0]["site_id"], machine_id, moves)
    about, told = Subject(SubjectKind.MACHINE, machine_id), wish.model_dump(mode="json")
    await audit.record(transaction, operator.actor, operator.tenant_id, AuditAction.STOCK_MOVE_ASKED, about, after=told)
    return StockAsked(machine_id=machine_id, movement_ids=tuple(ids))


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
    return await read_page(transaction, STOCK, query)


async def movement_page(transaction: Transaction, query: MovementQuery) -> MovementPage:
    """The movements that are asked for. Raises Refused for a cursor that is not theirs."""
    return await read_page(transaction, MOVEMENTS, query)
