"""What a run of facts makes of a slot. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.inventory import Reason, SlotSensed, SlotSuspected, StockMoved
from shared.sync import Fact

LOOKED = frozenset({Reason.COUNT, Reason.ADJUST})
"""Reasons that say a person stood before the slot: it is suspect no longer."""


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
        if not isinstance(body, StockMoved | SlotSuspected | SlotSensed):
            continue
        step = steps.setdefault((body.machine_id, body.slot), SlotStep())
        match body:
            case StockMoved():
                step.delta += body.delta
                step.suspect = False if body.reason in LOOKED else step.suspect
            case SlotSuspected():
                step.suspect = True
            case SlotSensed():
                step.sensed_empty = body.empty
    return steps
