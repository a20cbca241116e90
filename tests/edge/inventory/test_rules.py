"""What a slot can still promise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.inventory.rules import available, slot_state
from shared.catalog import SlotState


@given(st.integers(-1000, 1000), st.integers(0, 1000), st.booleans())
def test_never_more_than_is_there_and_never_below_nothing(on_hand: int, reserved: int, empty: bool) -> None:
    units = available(on_hand, reserved, sensed_empty=empty)
    assert 0 <= units <= max(0, on_hand)
    assert units == (0 if empty else max(0, on_hand - reserved))


@pytest.mark.parametrize(
    ("units", "suspect", "locked", "online", "state"),
    [
        (3, False, False, True, SlotState.OK),
        (0, False, False, True, SlotState.SOLD_OUT),
        (3, True, False, True, SlotState.SUSPECT),
        (0, True, False, True, SlotState.SUSPECT),
        (3, False, True, True, SlotState.LOCKED),
        (0, True, True, True, SlotState.LOCKED),
        (3, False, True, False, SlotState.OFFLINE),
        (0, True, False, False, SlotState.OFFLINE),
    ],
)
def test_the_first_reason_not_to_sell(units: int, suspect: bool, locked: bool, online: bool, state: SlotState) -> None:
    assert slot_state(units, suspect=suspect, locked=locked, online=online) is state
