"""What a machine is made of: devices with their wiring, slots with what they sell. Pure.

An outline names nothing that exists but products, so that any number of machines can be made by it.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from pydantic import Field, JsonValue

from shared.catalog import Count
from shared.contract import Message, Minor, Name, Rail, SlotCode

MOST_DEVICES = 8
MOST_SLOTS = 240


class Wiring(Message):
    """The part of a device's settings.json that says how it is wired (firmware/HARDWARE.md)."""

    slots: dict[SlotCode, JsonValue]
    board: dict[str, JsonValue] = {}
    climate: dict[str, JsonValue] = {}


class OutlineDevice(Message):
    """One board. Slots name it by `name`; without `wiring` it is given its settings by somebody else."""

    name: Name
    wiring: Wiring | None = None


class OutlineSlot(Message):
    """What lies in a slot: a product there is, or the name of one, which is made if none is called so.

    Money in the site's minor units. `opening`: so many units lie there from the beginning.
    """

    slot: SlotCode
    device: Name
    product_id: UUID | None = None
    product_name: Name | None = None
    price_minor: Minor
    capacity: Count
    par_level: Count
    opening: Count = 0


class MachineOutline(Message):
    """A machine without its name and its place."""

    rail: Rail = Rail.FREE
    devices: Annotated[tuple[OutlineDevice, ...], Field(max_length=MOST_DEVICES)] = ()
    slots: Annotated[tuple[OutlineSlot, ...], Field(max_length=MOST_SLOTS)] = ()


class TemplateWish(Message):
    """A template to be: of an outline, or of a machine that works."""

    name: Name
    outline: MachineOutline | None = None
    machine_id: UUID | None = None


class TemplateEdit(Message):
    """What shall be different; what is left out or null stays as it is. Machines made by it stay as they are."""

    name: Name | None = None
    outline: MachineOutline | None = None


class TemplateRow(Message):
    """What machines may be made like. `version` rises with each edit."""

    template_id: UUID
    name: Name
    version: int
    outline: MachineOutline


class TemplateLine(Message):
    """A template in one line."""

    template_id: UUID
    name: Name
    version: int


def repeated(names: Iterable[str]) -> list[str]:
    """Those that are there more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)
