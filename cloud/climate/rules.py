"""What a run of facts makes of zones. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.climate import ZoneReleased
from shared.sync import Fact


class ToldRelease(NamedTuple):
    """A release of a zone, and when it was told first."""

    release_id: UUID | None
    at: datetime | None


NEVER = ToldRelease(None, None)


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
    release: ToldRelease
    """The newest that is known."""


def zone_steps(
    facts: Sequence[Fact], known: Mapping[tuple[UUID, str], ToldRelease]
) -> dict[tuple[UUID, str], ZoneStep]:
    """By device and zone. A release that is known says nothing when another fact tells it again."""
    steps: dict[tuple[UUID, str], ZoneStep] = {}
    releases = dict(known)
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
                release=releases.get((body.device_id, body.zone), NEVER),
            )
        elif body.event == "zone_released":
            zone = body.device_id, body.zone
            before, release = steps.get(zone), releases.get(zone, NEVER)
            if _is_repeated(body, fact.at, release):
                continue
            if body.release_id is not None:
                releases[zone] = release = ToldRelease(body.release_id, fact.at)
            steps[zone] = ZoneStep(
                machine_id=body.machine_id,
                locked=False,
                slots=before.slots if before else (),
                centi_celsius=before.centi_celsius if before else None,
                released_by=body.released_by,
                released_at_machine=body.at_machine,
                changed_at=fact.at,
                release=release,
            )
    return steps


def _is_repeated(body: ZoneReleased, at: datetime, known: ToldRelease) -> bool:
    """The very fact that told it first, taken up anew, repeats nothing."""
    return body.release_id is not None and body.release_id == known.release_id and at != known.at
