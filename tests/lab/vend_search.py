"""A search through the vend model for a state that breaks a promise (RELIABILITY R4).

python -m tests.lab.vend_search --states 1000000
"""

import argparse
import random
import sys
import time
from collections import Counter, deque
from typing import NamedTuple

from shared.orders import VendOutcome
from tests.lab.vend_model import successors
from tests.lab.vend_state import Budget, State, start


class Violation(Exception):
    """A promise is broken in a reachable state."""


def check(state: State) -> None:
    """The promises, in every state. Raises Violation."""
    if state.world.late_start:
        raise Violation("a motor started for a vend that had ended")
    for vend, outcome in enumerate(state.gateway.ledger):
        starts, drops = state.world.starts[vend], state.world.drops[vend]
        if starts > 1:
            raise Violation("a motor started twice for one vend")
        if outcome is VendOutcome.DISPENSED and not drops:
            raise Violation("paid without a product")
        if outcome in (VendOutcome.NOT_STARTED, VendOutcome.CANCELLED, VendOutcome.NO_DROP) and drops:
            raise Violation(f"{outcome}, but a product fell")
        if outcome is VendOutcome.CANCELLED and starts:
            raise Violation("cancelled, but the motor started")
        if state.gateway.stock_taken[vend] and not drops:
            raise Violation("stock taken without a product")


def check_rest(state: State) -> None:
    """The promises once everything has been said and acknowledged. Raises Violation."""
    if state.device.motion or state.device.journal.vends:
        return
    for vend, outcome in enumerate(state.gateway.ledger):
        # What fell in the dark stays ambiguous until a person has counted.
        certain = isinstance(outcome, VendOutcome) and outcome is not VendOutcome.AMBIGUOUS
        if certain and state.world.drops[vend] != int(state.gateway.stock_taken[vend]):
            raise Violation("stock differs from what fell")


class Explored(NamedTuple):
    """What a search has seen."""

    states: int
    depth: int
    complete: bool
    """No state is left unvisited within the budget."""
    outcomes: Counter[str]


def explore(budget: Budget, limit: int, seed: int = 0, vends: int = 2) -> Explored:
    """Visit up to `limit` states, by turns the nearest and the farthest. Raises Violation with the broken state."""
    turn = random.Random(seed)
    first = start(budget, vends)
    seen = {hash(first)}
    frontier: deque[tuple[int, State]] = deque([(0, first)])
    outcomes: Counter[str] = Counter()
    deepest = 0
    while frontier and len(seen) < limit:
        depth, state = frontier.popleft() if turn.random() < 0.5 else frontier.pop()
        deepest = max(deepest, depth)
        for after in successors(state):
            mark = hash(after)
            if mark in seen:
                continue
            seen.add(mark)
            try:
                check(after)
                check_rest(after)
            except Violation as violation:
                raise Violation(f"{violation}: {state} -> {after}") from violation
            outcomes.update(str(entry) for entry in after.gateway.ledger if isinstance(entry, VendOutcome))
            frontier.append((depth + 1, after))
    return Explored(len(seen), deepest, not frontier, outcomes)


def main(arguments: list[str]) -> int:
    """Explore and print; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description="Search the vend model for a broken promise.")
    parser.add_argument("--states", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=int, nargs=5, default=[3, 2, 1, 2, 1], metavar=Budget._fields)
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        explored = explore(Budget(*chosen.budget), chosen.states, chosen.seed)
    except Violation as violation:
        print(f"seed {chosen.seed}: violation: {violation}")
        return 1
    seconds = time.monotonic() - began
    space = "all of them" if explored.complete else "more are left"
    print(f"seed {chosen.seed}, {Budget(*chosen.budget)}: 0 violations in {explored.states} states ({space})")
    print(f"to depth {explored.depth} in {seconds:.0f} s; outcomes met: {dict(explored.outcomes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
