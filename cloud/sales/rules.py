"""What facts add to the sums of sales. Pure."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from shared.orders import VendOutcome

OUTCOMES = tuple(VendOutcome)
"""Sums of units stand in this order, in rows and tables."""
_PLACE = {outcome.value: place for place, outcome in enumerate(OUTCOMES)}


class Placed(NamedTuple):
    """Where and in which hour an order was placed: all that becomes of it counts there and then."""

    machine_id: UUID
    hour: datetime
    currency: str


def placed_at(machine_id: UUID, at: datetime, currency: str) -> Placed:
    """Of an order's own time, in UTC."""
    return Placed(machine_id, at.replace(minute=0, second=0, microsecond=0), currency)


class Tally:
    """Sums to be added to those that are kept."""

    def __init__(self) -> None:
        self.hours: dict[Placed, list[int]] = {}
        """By the hour: orders, units of each outcome, captured, given back (minor units)."""
        self.products: dict[tuple[UUID, UUID, date, str], list[int]] = {}
        """By machine, product, day and currency: units of each outcome, the prices of those dispensed."""

    def placed(self, order: Placed) -> None:
        """One more order."""
        self._hour(order)[0] += 1

    def ended(self, order: Placed, captured_minor: int, given_back_minor: int) -> None:
        """The money of an order, once it has ended."""
        sums = self._hour(order)
        sums[-2] += captured_minor
        sums[-1] += given_back_minor

    def resolved(self, order: Placed, product_id: UUID, price_minor: int, outcome: str) -> None:
        """One unit, dispensed or not."""
        place = _PLACE[outcome]
        self._hour(order)[1 + place] += 1
        key = (order.machine_id, product_id, order.hour.date(), order.currency)
        units = self.products.setdefault(key, [0] * (len(OUTCOMES) + 1))
        units[place] += 1
        if outcome == VendOutcome.DISPENSED:
            units[-1] += price_minor

    def _hour(self, order: Placed) -> list[int]:
        sums = self.hours.get(order)
        if sums is None:
            sums = self.hours[order] = [0] * (len(OUTCOMES) + 3)
        return sums
