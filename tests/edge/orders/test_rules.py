"""Prices, patience and what an outcome does."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.catalog.rules import Machine, Offer, OfferedSlot
from edge.orders.rules import (
    CUSTOMER_WINDOW_S,
    OFFLINE_WINDOW_S,
    OPEN_STATES,
    PAY_WINDOW_S,
    Next,
    is_settled,
    makes_suspect,
    next_for_unpaid,
    next_for_waiting,
    priced,
    quantities,
)
from shared.contract import Rail
from shared.orders import ChosenLine, OrderState, PlaceOrder, VendOutcome

MACHINE = Machine(UUID(int=1), "Snacks", Rail.CASH, "INR", True)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
slots = st.sampled_from(["A1", "A2", "B10"])
lines = st.lists(st.builds(ChosenLine, slot=slots, quantity=st.integers(1, 10)), min_size=1, max_size=20)
prices = st.fixed_dictionaries({slot: st.integers(0, 10**6) for slot in ("A1", "A2", "B10")})


@given(lines, prices)
def test_an_order_costs_the_sum_of_its_units(chosen: list[ChosenLine], price: dict[str, int]) -> None:
    offered = {slot: OfferedSlot(slot, uuid4(), f"product {slot}", UUID(int=2), price[slot]) for slot in price}
    wish = PlaceOrder(machine_id=MACHINE.machine_id, planogram_version=7, lines=tuple(chosen))
    placed = priced(Offer(MACHINE, 7, True, offered), wish, uuid4, NOW)

    wanted = quantities(chosen)
    assert sum(wanted.values()) == len(placed.vends) == sum(line.quantity for line in chosen)
    assert placed.total_minor == sum(price[slot] * units for slot, units in wanted.items())
    assert len({vend.vend_id for vend in placed.vends}) == len(placed.vends)
    assert [vend.slot for vend in placed.vends] == [line.slot for line in chosen for _ in range(line.quantity)]
    assert all(vend.price_minor == price[vend.slot] for vend in placed.vends)
    assert (placed.planogram_version, placed.rail, placed.currency, placed.placed_at) == (7, Rail.CASH, "INR", NOW)


@pytest.mark.parametrize(
    ("online", "free", "quiet_s", "step"),
    [
        (True, True, 0, Next.REQUEST),
        (True, False, 0, Next.WAIT),
        (False, True, 0, Next.WAIT),
        (False, False, OFFLINE_WINDOW_S, Next.GIVE_UP),
        (True, False, OFFLINE_WINDOW_S, Next.WAIT),
        (True, True, CUSTOMER_WINDOW_S, Next.GIVE_UP),
        (True, True, float("inf"), Next.GIVE_UP),
    ],
)
def test_how_long_a_customer_waits_for_a_device(online: bool, free: bool, quiet_s: float, step: Next) -> None:
    assert next_for_waiting(online=online, free=free, quiet_s=quiet_s) is step


@given(st.booleans(), st.floats(0, 2 * PAY_WINDOW_S))
def test_an_order_is_paid_in_time_or_expires(paid: bool, quiet_s: float) -> None:
    step = next_for_unpaid(paid=paid, quiet_s=quiet_s)
    if quiet_s >= PAY_WINDOW_S:
        assert step is Next.EXPIRE
    else:
        assert step is (Next.AUTHORISE if paid else Next.WAIT)


def test_settled_when_every_vend_has_its_outcome() -> None:
    assert is_settled([VendOutcome.DISPENSED, VendOutcome.CANCELLED])
    assert not is_settled([VendOutcome.DISPENSED, None])


def test_a_motor_that_turned_for_nothing_makes_its_slot_suspect() -> None:
    assert {outcome for outcome in VendOutcome if makes_suspect(outcome)} == {
        VendOutcome.AMBIGUOUS,
        VendOutcome.NO_DROP,
    }


def test_open_and_terminal_states() -> None:
    assert set(OrderState) - OPEN_STATES == {OrderState.SETTLED, OrderState.CANCELLED, OrderState.EXPIRED}
