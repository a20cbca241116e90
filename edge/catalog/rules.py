"""What is on offer, and which planogram is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.contract import Rail


@dataclass(frozen=True, slots=True)
class OfferedSlot:
    """One slot of the planogram in force."""

    slot: str
    product_id: UUID
    name: str
    device_id: UUID
    price_minor: int


@dataclass(frozen=True, slots=True)
class Machine:
    """A vending cabinet as configured."""

    machine_id: UUID
    name: str
    rail: Rail
    currency: str
    in_service: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """What a machine sells now. `version` is 0, and `slots` empty, while no planogram is known."""

    machine: Machine
    version: int
    slots: dict[str, OfferedSlot]


def price_on(rail: Rail, price_minor: int) -> int:
    """What a customer owes for a unit: on a free machine nothing, whatever the planogram says it is worth."""
    return 0 if rail is Rail.FREE else price_minor


def version_in_force(versions: Sequence[tuple[int, datetime]], current: int, now: datetime) -> int:
    """The version to sell by: the highest whose time has come, never below the `current` one.

    A wrong clock must neither take prices back nor leave a machine with nothing to sell: once in force stays in force,
    and when none ever was, the lowest version is. 0 if there are no versions. `versions` holds (version, effective at).
    """
    due = [version for version, effective_at in versions if effective_at <= now]
    if due or current:
        return max([*due, current])
    return min((version for version, _ in versions), default=0)
