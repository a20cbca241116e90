"""A search through the vend model for a state that breaks a promise (RELIABILITY R4).

python -m tests.lab.vend_search                                a million states of the rough budget, near and far,
                                                               of vends one by one, and as many of two at once
python -m tests.lab.vend_search --full                         every state, whatever happens, however often
python -m tests.lab.vend_search --full --budget 3 2 1 2 any    every state within such a budget

Whatever the budget, any message may be lost, repeated, late and out of order, without a bound (`vend_state.State`). And
since a budget only forbids, the full search holds every interleaving of R4, two vends with ≤ 3 crashes of either side
and their reboots, ≤ 2 lost and ≤ 2 repeated messages, and those of any other bounds.

Outside of it lies what the model does not have: more than two vends, two slots or devices, a slot without a home switch
or a drop sensor, a restored ledger, a journal that is full or has damaged records.
"""

import argparse
import random
import resource
import sys
import time
from collections import Counter, deque
from math import inf
from typing import NamedTuple

from shared.orders import VendOutcome
from tests.lab.vend_model import successors
from tests.lab.vend_reduction import walk
from tests.lab.vend_state import ANYTHING, Budget, State, start

ROUGH = Budget(crashes=3, cuts=2, cancels=1, renewals=2, wipes=1)


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
    if any(state.device.motions) or state.device.journal.vends:
        return
    for vend, outcome in enumerate(state.gateway.ledger):
        # What fell in the dark stays ambiguous until a person has counted.
        certain = isinstance(outcome, VendOutcome) and outcome is not VendOutcome.AMBIGUOUS
        if certain and state.world.drops[vend] != int(state.gateway.stock_taken[vend]):
            raise Violation("stock differs from what fell")


def _check_both(before: State, state: State) -> None:
    try:
        check(state)
        check_rest(state)
    except Violation as violation:
        raise Violation(f"{violation}: {before} -> {state}") from violation


class Explored(NamedTuple):
    """What a search has seen."""

    states: int
    depth: int
    complete: bool
    """No state is left unvisited within the budget."""
    outcomes: Counter[str]


def explore(budget: Budget, limit: int, seed: int = 0, vends: int = 2, at_once: int = 1) -> Explored:
    """Visit up to `limit` states, by turns the nearest and the farthest. Raises Violation with the broken state."""
    turn = random.Random(seed)
    first = start(budget, vends, at_once)
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
            _check_both(state, after)
            outcomes.update(str(entry) for entry in after.gateway.ledger if isinstance(entry, VendOutcome))
            frontier.append((depth + 1, after))
    return Explored(len(seen), deepest, not frontier, outcomes)


def explore_all(budget: Budget, vends: int = 2, at_once: int = 1) -> Explored:
    """Visit every moment, but those that another one stands for (`vend_reduction`). Raises Violation, as `explore`."""
    first = start(budget, vends, at_once)
    states, deepest = 1, 0
    outcomes: Counter[str] = Counter()
    for depth, state, after in walk(first):
        states, deepest = states + 1, max(deepest, depth)
        _check_both(state, after)
        outcomes.update(str(entry) for entry in after.gateway.ledger if isinstance(entry, VendOutcome))
    return Explored(states, deepest, True, outcomes)


def main(arguments: list[str]) -> int:
    """Explore and print; 1 if a promise is broken."""
    chosen = _parse(arguments)
    return max(_search(chosen, at_once) for at_once in chosen.at_once)


def _search(chosen: argparse.Namespace, at_once: int) -> int:
    budget = Budget(*chosen.budget)
    together = f"{at_once} at once, {budget}"
    name = together if chosen.full else f"seed {chosen.seed}, {together}"
    began = time.monotonic()
    try:
        if chosen.full:
            explored = explore_all(budget, at_once=at_once)
        else:
            explored = explore(budget, chosen.states, chosen.seed, at_once=at_once)
    except Violation as violation:
        print(f"{name}: violation: {violation}")
        return 1
    seconds = time.monotonic() - began
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    space = "all of them" if explored.complete else "more are left"
    print(f"{name}: 0 violations in {explored.states} states ({space})")
    print(f"to depth {explored.depth} in {seconds:.0f} s and {megabytes} MB; outcomes met: {dict(explored.outcomes)}")
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Search the vend model for a broken promise.")
    parser.add_argument("--full", action="store_true", help="go on until nothing is left, whatever --states says")
    parser.add_argument("--states", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, choices=(1, 2), nargs="+", default=[1, 2])
    parser.add_argument(
        "--budget", type=_times, nargs=5, metavar=Budget._fields, help="how often each may happen: a number, or any"
    )
    chosen = parser.parse_args(arguments)
    if chosen.budget is None:
        chosen.budget = ANYTHING if chosen.full else ROUGH
    return chosen


def _times(text: str) -> float:
    return inf if text == "any" else int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
