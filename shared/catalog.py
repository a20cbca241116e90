"""Machines, products and planograms: versions that travel down from the cloud, and the catalogue a kiosk shows."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.contract import Currency, Instant, Message, Minor, Name, Rail, SlotCode

Count = Annotated[int, Field(ge=0, le=1000)]


class MachineVersion(Message):
    """Change: one vending cabinet as the cloud configures it."""

    kind: Literal["machine"] = "machine"
    machine_id: UUID
    version: Annotated[int, Field(ge=1)]
    name: Name
    rail: Rail
    currency: Currency
    in_service: bool


class MachineStopped(Message):
    """Fact: the gateway has taken this version of the machine, by which it sells nothing.

    Every order it ever took at the machine stands before this in its facts, until a later version is in service.
    """

    event: Literal["machine_stopped"] = "machine_stopped"
    machine_id: UUID
    version: Annotated[int, Field(ge=1)]


class ProductVersion(Message):
    """Change: what is sold."""

    kind: Literal["product"] = "product"
    product_id: UUID
    version: Annotated[int, Field(ge=1)]
    name: Name


class PlanogramSlot(Message):
    """Which product sits in which slot at which price, and which device turns its motor."""

    slot: SlotCode
    product_id: UUID
    device_id: UUID
    price_minor: Minor
    capacity: Count
    par_level: Count


class PlanogramVersion(Message):
    """Change: the whole planogram of a machine, in force from `effective_at` until a higher version's time has come."""

    kind: Literal["planogram"] = "planogram"
    machine_id: UUID
    version: Annotated[int, Field(ge=1)]
    effective_at: Instant
    slots: Annotated[tuple[PlanogramSlot, ...], Field(max_length=240)]


class SlotState(StrEnum):
    """Whether a customer may choose a slot, and why not."""

    OK = "ok"
    SOLD_OUT = "sold_out"
    SUSPECT = "suspect"
    LOCKED = "locked"
    """What lies there was too warm for too long (climate.py)."""
    OFFLINE = "offline"


class CatalogueSlot(Message):
    """One thing to choose. `available` is stock minus what open orders have reserved."""

    slot: SlotCode
    product_id: UUID
    name: Name
    price_minor: Minor
    available: Annotated[int, Field(ge=0)]
    state: SlotState


class Catalogue(Message):
    """What a kiosk shows of one machine. `credit_minor` is the cash inserted and not yet spent."""

    machine_id: UUID
    name: Name
    rail: Rail
    currency: Currency
    in_service: bool
    planogram_version: Annotated[int, Field(ge=0)]
    credit_minor: Minor
    slots: tuple[CatalogueSlot, ...]


class MachineSummary(Message):
    """One line of the kiosk's machine picker."""

    machine_id: UUID
    name: Name
    rail: Rail
    currency: Currency
    online: bool


class Machines(Message):
    """The machines of a site."""

    machines: tuple[MachineSummary, ...]
