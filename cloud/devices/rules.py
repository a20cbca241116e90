"""What a run of facts makes of devices. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.sync import Fact


@dataclass
class DeviceStep:
    """What the facts changed of one device; None is "nothing new"."""

    machine_id: UUID
    claimed_at: datetime | None = None
    online: bool | None = None
    link_changed_at: datetime | None = None
    link_reason: str | None = None


def device_steps(facts: Sequence[Fact]) -> dict[UUID, DeviceStep]:
    """The last word on each device."""
    steps: dict[UUID, DeviceStep] = {}
    for fact in facts:
        body = fact.body
        if body.event == "device_claimed":
            steps.setdefault(body.device_id, DeviceStep(body.machine_id)).claimed_at = fact.at
        elif body.event == "device_link_changed":
            step = steps.setdefault(body.device_id, DeviceStep(body.machine_id))
            step.online, step.link_changed_at, step.link_reason = body.online, fact.at, body.reason
    return steps
