"""Food safety: zones of a machine that must stay cold. The device itself judges and locks, gateway or not."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.contract import CentiCelsius, Message, Name, SlotCode, Zone
from shared.devices import DeviceMessage


class ZoneCondition(StrEnum):
    """How a zone is."""

    COLD = "cold"
    WARM = "warm"
    """Above its limit, or its sensor is silent, but not for too long yet."""
    LOCKED = "locked"
    """It was warm for too long: nothing is sold from it until a person releases it."""


class Release(Message):
    """What let a locked zone go."""

    release_id: UUID
    """Of the request (upkeep.ReleaseZone), or made by the device for whoever pressed its button."""
    at_machine: bool
    """By somebody who stood before the open machine, be its gateway there or not."""


class ZoneReport(DeviceMessage):
    """Channel `sensor`: at each connect for each zone, and when its condition changes. Not acknowledged: told anew."""

    boot_id: UUID
    zone: Zone
    condition: ZoneCondition
    centi_celsius: CentiCelsius | None
    """None: the sensor is silent."""
    slots: Annotated[tuple[SlotCode, ...], Field(max_length=60)]
    released: Release | None = None
    """The last time that it was locked and let go. Told for ever after: it may be news to a gateway that was away."""


class ZoneLocked(Message):
    """Fact: nothing is sold from these slots until a person releases the zone."""

    event: Literal["zone_locked"] = "zone_locked"
    device_id: UUID
    machine_id: UUID
    zone: Zone
    slots: Annotated[tuple[SlotCode, ...], Field(max_length=60)]
    centi_celsius: CentiCelsius | None


class ZoneReleased(Message):
    """Fact: somebody answered for what lies there."""

    event: Literal["zone_released"] = "zone_released"
    device_id: UUID
    machine_id: UUID
    zone: Zone
    released_by: Name | None
    """Who asked for it from afar. None: nobody did."""
    at_machine: bool = False
    """Somebody did it by hand, before the open machine. Else, if nobody asked, device or settings are others now."""
    release_id: UUID | None = None
    """Which release it was, as the device says. A gateway that has lost its ledger tells an old one once more."""
