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
    """What a machine sells now. `version` is 0, and `slots` empty, while no planogram is known.

    noted: the ledger knows that this version came into force.
    """

    machine: Machine
    version: int
    noted: bool
    slots: dict[str, OfferedSlot]


def price_on(rail: Rail, price_minor: int) -> int:
    """What a customer owes for a unit: on a free machine nothing, whatever the planogram says it is worth."""
    return 0 if rail is Rail.FREE else price_minor


def newest_due(versions: Sequence[tuple[int, datetime]], now: datetime | None) -> int:
    """The highest of `versions`, (version, effective at), whose time has come; 0 if none, or if nobody knows the time.

    `now` is None while the clock is not to be believed.
    """
    return max((version for version, effective_at in versions if now and effective_at <= now), default=0)


def version_in_force(versions: Sequence[tuple[int, datetime]], current: int, now: datetime | None) -> int:
    """The version to sell by: the highest whose time has come, never below the `current` one.

    A wrong clock must neither take prices back, nor bring them early, nor leave a machine with nothing to sell: once in
    force stays in force, and when none ever was, the lowest version is. 0 if there are no versions.
    """
    return max(newest_due(versions, now), current) or min((version for version, _ in versions), default=0)
