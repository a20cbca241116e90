"""Stock: nobody's absolute number. Signed movements with a reason, whose sum it is."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.contract import Message, SlotCode

Delta = Annotated[int, Field(ge=-1000, le=1000)]


class Reason(StrEnum):
    """Why stock moved."""

    VEND = "vend"
    RESTOCK = "restock"
    COUNT = "count"
    WASTE = "waste"
    ADJUST = "adjust"
    OPENING = "opening"


CLEARS_SUSPICION = frozenset({Reason.RESTOCK, Reason.COUNT})
"""Reasons that say a person stood before the slot and looked: it is suspect no longer."""


class StockInstruction(Message):
    """Change from the cloud: move this stock, once. The gateway answers with `StockMoved` of the same movement id."""

    kind: Literal["stock_instruction"] = "stock_instruction"
    movement_id: UUID
    machine_id: UUID
    slot: SlotCode
    delta: Delta
    reason: Reason


class StockMoved(Message):
    """Fact: stock of a slot moved by `delta`."""

    event: Literal["stock_moved"] = "stock_moved"
    movement_id: UUID
    machine_id: UUID
    slot: SlotCode
    delta: Delta
    reason: Reason
    vend_id: UUID | None = None


class SlotSuspected(Message):
    """Fact: nobody can tell what a vend did here; the slot sells nothing until a person has looked."""

    event: Literal["slot_suspected"] = "slot_suspected"
    machine_id: UUID
    slot: SlotCode
    vend_id: UUID


class SlotSensed(Message):
    """Fact: the slot's own sensor says empty, or no longer empty."""

    event: Literal["slot_sensed"] = "slot_sensed"
    machine_id: UUID
    slot: SlotCode
    empty: bool
