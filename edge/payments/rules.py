"""When money is held, and what a vend's outcome means for it."""

from shared.contract import Rail
from shared.orders import VendOutcome


def needed_credit(rail: Rail, amount_minor: int) -> int:
    """The cash credit an order takes from its machine, in minor units."""
    return amount_minor if rail is Rail.CASH else 0


def is_earned(outcome: VendOutcome) -> bool:
    """Whether the price of the vend is kept. Only what was proven to be dispensed is paid for."""
    return outcome is VendOutcome.DISPENSED


def takes_cash(rail: Rail, *, in_service: bool, has_room: bool, wanted: bool) -> bool:
    """Whether a machine may take coins and notes.

    has_room: what is inserted can be written down. wanted: it sells something now, or an order waits for its money.
    """
    return rail is Rail.CASH and in_service and has_room and wanted
