"""What a run of facts makes of a slot. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.inventory import CLEARS_SUSPICION
from shared.sync import Fact


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
