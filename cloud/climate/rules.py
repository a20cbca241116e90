"""What a run of facts makes of zones. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.sync import Fact


@dataclass(frozen=True)
class ZoneStep:
    """The last word on a zone. A release alone knows neither `slots` nor temperature: those are of its lock."""

    machine_id: UUID
    locked: bool
    slots: tuple[str, ...]
    centi_celsius: int | None
    released_by: str | None
    released_at_machine: bool
    changed_at: datetime


def zone_steps(facts: Sequence[Fact]) -> dict[tuple[UUID, str], ZoneStep]:
    """By device and zone."""
    steps: dict[tuple[UUID, str], ZoneStep] = {}
    for fact in facts:
        body = fact.body
        if body.event == "zone_locked":
            steps[body.device_id, body.zone] = ZoneStep(
                machine_id=body.machine_id,
                locked=True,
                slots=body.slots,
                centi_celsius=body.centi_celsius,
                released_by=None,
                released_at_machine=False,
                changed_at=fact.at,
            )
        elif body.event == "zone_released":
            before = steps.get((body.device_id, body.zone))
            steps[body.device_id, body.zone] = ZoneStep(
                machine_id=body.machine_id,
                locked=False,
                slots=before.slots if before else (),
                centi_celsius=before.centi_celsius if before else None,
                released_by=body.released_by,
                released_at_machine=body.at_machine,
                changed_at=fact.at,
            )
    return steps
