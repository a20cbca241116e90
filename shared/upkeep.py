"""Looking after a device from afar: its log, a restart, turning one motor by hand, other settings.

A person asks by a `DeviceInstruction` from the cloud; the gateway tells the device while it is there
and the instruction has not expired; what became of it is a fact.
"""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.contract import Digest, Instant, Message, Name, Nonce, SlotCode, Zone
from shared.devices import DeviceMessage, Evidence
from shared.signed import SignedText

Pin = Annotated[str, StringConstraints(pattern=r"^[0-9]{4,8}$")]
Reason = Annotated[str, StringConstraints(max_length=60)]


class Restart(DeviceMessage):
    """Boot again once no vend is open."""

    type: Literal["restart"] = "restart"
    request_id: UUID
    nonce: Nonce
    mac: Digest


class Jog(DeviceMessage):
    """Turn the motor of `slot` once. Only while the door is open, and with the service PIN of the device's settings.

    A device starts at most one motor for a `request_id`, and none while a vend is open.
    """

    type: Literal["jog"] = "jog"
    request_id: UUID
    slot: SlotCode
    pin: Pin
    nonce: Nonce
    mac: Digest


class ReleaseZone(DeviceMessage):
    """A person has looked at what lies in this zone, and answers for it: sell from it again (climate.py)."""

    type: Literal["release_zone"] = "release_zone"
    request_id: UUID
    zone: Zone
    nonce: Nonce
    mac: Digest


class SetTime(DeviceMessage):
    """The time in seconds since 1970 (UTC). At each connect and once an hour, if the gateway believes its clock."""

    type: Literal["set_time"] = "set_time"
    now: Annotated[int, Field(ge=0, le=2**53 - 1)]
    nonce: Nonce
    mac: Digest


UNKNOWN_ZONE = "unknown_zone"
"""`reason` of a device whose settings name no such zone, so that nothing can be released there."""


class RequestState(StrEnum):
    """What became of a request."""

    DONE = "done"
    REFUSED = "refused"


class RequestAnswer(DeviceMessage):
    """Channel `answer`: what became of a restart, jog or release. A repeated request is answered again, done once."""

    boot_id: UUID
    request_id: UUID
    state: RequestState
    reason: Reason | None = None
    evidence: Evidence | None = None
    """Of a jog that was done."""


class Level(StrEnum):
    """How bad it is."""

    WARNING = "warning"
    ERROR = "error"


class LogLine(Message):
    """One line of a device's log."""

    number: Annotated[int, Field(ge=0, le=2**31 - 1)]
    """Of this boot, counted from 0: what is missing was overwritten before it could be sent."""
    uptime_ms: Annotated[int, Field(ge=0, le=2**53 - 1)]
    level: Level
    event: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
    fields: Annotated[str, StringConstraints(max_length=400)]
    """JSON of the rest, cut off if it is longer."""


class LogLines(DeviceMessage):
    """Channel `log`: lines at warning and above. Not acknowledged."""

    boot_id: UUID
    lines: Annotated[tuple[LogLine, ...], Field(min_length=1, max_length=8)]


class SettingsState(StrEnum):
    """What became of settings that were offered."""

    KEPT = "kept"
    TRIAL = "trial"
    """The device runs on them; unless its link stands again within two minutes it goes back."""
    REVERTED = "reverted"
    REFUSED = "refused"


Tries = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""How often the settings that were offered last have come to nothing, or are on trial, since others were."""


class SettingsReport(DeviceMessage):
    """Channel `settings`: at each connect, and when it has changed. Not acknowledged: it is told anew."""

    boot_id: UUID
    digest: Digest | None
    """SHA-256 of the signed settings the device runs on; None: unsigned ones, put there by hand."""
    state: SettingsState
    offered: Digest | None = None
    reason: Reason | None = None
    tries: Tries = 0


class Action(StrEnum):
    """What a person may ask of a device."""

    RESTART = "restart"
    JOG = "jog"
    RELEASE_ZONE = "release_zone"


class DeviceInstruction(Message):
    """Change from the cloud: ask this of the device, before it expires."""

    kind: Literal["device_instruction"] = "device_instruction"
    request_id: UUID
    device_id: UUID
    machine_id: UUID
    action: Action
    slot: SlotCode | None = None
    pin: Pin | None = None
    zone: Zone | None = None
    asked_by: Name
    expires_at: Instant


class DeviceInstructionEnded(Message):
    """Fact: what became of an instruction. `state` is refused also for one that expired."""

    event: Literal["device_instruction_ended"] = "device_instruction_ended"
    request_id: UUID
    device_id: UUID
    machine_id: UUID
    action: Action
    state: RequestState
    reason: Reason | None = None
    evidence: Evidence | None = None


SettingsVersion = Annotated[int, Field(ge=1, le=2**31 - 1)]


class SettingsAssigned(Message):
    """Change from the cloud: the device shall run on these settings, a higher version instead of a lower one.

    The file that a device fetches is `signed.to_line()`; the SHA-256 of that is what it reports. A higher version may
    be of the same text: then the device shall try it anew.
    """

    kind: Literal["settings_assigned"] = "settings_assigned"
    device_id: UUID
    machine_id: UUID
    version: SettingsVersion
    signed: SignedText


class SettingsReported(Message):
    """Fact: what a device says of its settings is another than before."""

    event: Literal["settings_reported"] = "settings_reported"
    device_id: UUID
    machine_id: UUID
    digest: Digest | None
    state: SettingsState
    offered: Digest | None
    reason: Reason | None
    tries: Tries = 0
