"""What is wrong with a planogram, and in which state a machine is. Pure."""

from collections.abc import Sequence, Set
from enum import StrEnum
from uuid import UUID

from shared.catalog import PlanogramSlot
from shared.errors import FieldError


class MachineState(StrEnum):
    """Where a machine is in its life. Only one that is `selling` may be in service."""

    SELLING = "selling"
    DRAINING = "draining"
    """It takes no new orders; those it has come to their end."""


def wrong_slots(slots: Sequence[PlanogramSlot], products: Set[UUID], devices: Set[UUID]) -> tuple[FieldError, ...]:
    """The slots that cannot be: of an unknown product, turned by another machine's device, twice there, overfull."""
    seen: set[str] = set()
    wrong: list[FieldError] = []
    for number, slot in enumerate(slots):
        path = f"slots.{number}"
        if slot.slot in seen:
            wrong.append(FieldError(path=f"{path}.slot", message="is there twice"))
        seen.add(slot.slot)
        if slot.product_id not in products:
            wrong.append(FieldError(path=f"{path}.product_id", message="is no product of yours"))
        if slot.device_id not in devices:
            wrong.append(FieldError(path=f"{path}.device_id", message="is no device of this machine"))
        if slot.par_level > slot.capacity:
            wrong.append(FieldError(path=f"{path}.par_level", message="is more than the capacity"))
    return tuple(wrong)
