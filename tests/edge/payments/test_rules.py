"""When money is held, and what is earned."""

from hypothesis import given
from hypothesis import strategies as st

from edge.payments.rules import is_earned, needed_credit
from shared.contract import Rail
from shared.orders import VendOutcome


@given(st.integers(0, 10**12))
def test_only_cash_is_taken_from_the_machine(amount_minor: int) -> None:
    assert needed_credit(Rail.CASH, amount_minor) == amount_minor
    assert needed_credit(Rail.FREE, amount_minor) == 0


def test_only_what_was_dispensed_is_earned() -> None:
    assert {outcome for outcome in VendOutcome if is_earned(outcome)} == {VendOutcome.DISPENSED}
