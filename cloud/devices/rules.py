"""What a run of facts makes of devices. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.errors import FactRefused
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
    """The last word on each device. Raises FactRefused for one of two machines."""
    steps: dict[UUID, DeviceStep] = {}
    for fact in facts:
        body = fact.body
        if body.event == "device_claimed":
            _device(steps, body.device_id, body.machine_id).claimed_at = fact.at
        elif body.event == "device_link_changed":
            step = _device(steps, body.device_id, body.machine_id)
            step.online, step.link_changed_at, step.link_reason = body.online, fact.at, body.reason
    return steps


def _device(steps: dict[UUID, DeviceStep], device_id: UUID, machine_id: UUID) -> DeviceStep:
    step = steps.setdefault(device_id, DeviceStep(machine_id))
    if step.machine_id != machine_id:
        raise FactRefused("the device belongs to another machine")
    return step
