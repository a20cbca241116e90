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


class ZoneReport(DeviceMessage):
    """Channel `sensor`: at each connect for each zone, and when its condition changes. Not acknowledged: told anew."""

    boot_id: UUID
    zone: Zone
    condition: ZoneCondition
    centi_celsius: CentiCelsius | None
    """None: the sensor is silent."""
    slots: Annotated[tuple[SlotCode, ...], Field(max_length=60)]


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
    """None: nobody asked; the device has other settings, or is another."""
