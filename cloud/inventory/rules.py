"""What a run of facts makes of a slot, and which moves of stock cannot be. Pure."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from shared.errors import FieldError
from shared.inventory import CLEARS_SUSPICION, Reason
from shared.sync import Fact


class Move(Protocol):
    """Units added to a slot or taken from it."""

    @property
    def slot(self) -> str: ...
    @property
    def delta(self) -> int: ...
    @property
    def reason(self) -> Reason: ...


@dataclass
class SlotStep:
    """What the facts changed in one slot; None is "nothing new"."""

    delta: int = 0
    suspect: bool | None = None
    sensed_empty: bool | None = None


def slot_steps(facts: Sequence[Fact]) -> dict[tuple[UUID, str], SlotStep]:
    """The sum of movements and the last word of people and sensors, by machine and slot."""
    steps: dict[tuple[UUID, str], SlotStep] = {}
    for fact in facts:
        body = fact.body
        if body.event == "stock_moved":
            step = steps.setdefault((body.machine_id, body.slot), SlotStep())
            step.delta += body.delta
            step.suspect = False if body.reason in CLEARS_SUSPICION else step.suspect
        elif body.event == "slot_suspected":
            steps.setdefault((body.machine_id, body.slot), SlotStep()).suspect = True
        elif body.event == "slot_sensed":
            steps.setdefault((body.machine_id, body.slot), SlotStep()).sensed_empty = body.empty
    return steps


def wrong_moves(moves: Sequence[Move], slots: Set[str]) -> tuple[FieldError, ...]:
    """Those of no slot of the planogram in force, that restock by less than one, or waste by more than none."""
    wrong: list[FieldError] = []
    for number, move in enumerate(moves):
        if move.slot not in slots:
            wrong.append(FieldError(path=f"moves.{number}.slot", message="is no slot of the planogram in force"))
        if move.reason is Reason.RESTOCK and move.delta < 1:
            wrong.append(FieldError(path=f"moves.{number}.delta", message="must be 1 or more to restock"))
        if move.reason is Reason.WASTE and move.delta > -1:
            wrong.append(FieldError(path=f"moves.{number}.delta", message="must be -1 or less for waste"))
    return tuple(wrong)
