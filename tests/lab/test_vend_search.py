"""The bracketed run of R4, and proof that the search can find what it looks for."""

import pytest

from shared.orders import VendOutcome
from tests.lab.vend_search import ROUGH, Violation, check, check_rest, explore, explore_all
from tests.lab.vend_state import ANYTHING, Budget, State, World, start

CALM = Budget(crashes=0, cuts=0, cancels=1, renewals=0)


@pytest.mark.parametrize("at_once", [1, pytest.param(2, marks=pytest.mark.lab)])
def test_every_interleaving_without_crashes_keeps_the_promises(at_once: int) -> None:
    explored = explore_all(CALM, at_once=at_once)
    assert explored.complete
    assert set(explored.outcomes) == set(VendOutcome)


def test_every_interleaving_of_one_vend_keeps_the_promises_whatever_happens_however_often() -> None:
    explored = explore_all(ANYTHING, vends=1)
    assert explored.complete
    assert set(explored.outcomes) == set(VendOutcome)


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_part_of_the_rough_space_keeps_the_promises(at_once: int) -> None:
    explored = explore(ROUGH, 50_000, seed=7, at_once=at_once)
    assert explored.states >= 50_000


def broken(outcome: VendOutcome, starts: int, drops: int, taken: bool, late_start: bool = False) -> State:
    state = start(CALM)
    gateway = state.gateway._replace(ledger=(outcome, None), stock_taken=(taken, False))
    return state._replace(gateway=gateway, world=World((starts, 0), late_start, (drops, 0), (True,)))


@pytest.mark.parametrize(
    "state",
    [
        broken(VendOutcome.DISPENSED, 2, 1, True),
        broken(VendOutcome.DISPENSED, 1, 0, False),
        broken(VendOutcome.NOT_STARTED, 1, 1, False),
        broken(VendOutcome.CANCELLED, 1, 0, False),
        broken(VendOutcome.NO_DROP, 1, 1, False),
        broken(VendOutcome.AMBIGUOUS, 1, 0, True),
        broken(VendOutcome.AMBIGUOUS, 1, 1, False, late_start=True),
    ],
)
def test_a_broken_promise_is_seen(state: State) -> None:
    with pytest.raises(Violation):
        check(state)


def test_stock_that_was_not_taken_is_seen() -> None:
    with pytest.raises(Violation):
        check_rest(broken(VendOutcome.DISPENSED, 1, 1, False))
