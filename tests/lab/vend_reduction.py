"""Which moments stand for others, so that every interleaving can be seen to the last (RELIABILITY R4).

What may happen, `vend_model.successors` says alone, with the product's functions. What is dropped here can show nothing
new whatever these functions decide, right or wrong:

*More messages stand for fewer.* A message that was sent stays: it may arrive at any time, again and again, or never.
Nothing in the model asks whether a message is absent. So a moment with the messages of another and more, and all else
equal, covers it: it may do all that the other may, each moment that follows is again one with the messages of the
other's and more, and a promise (`vend_search.check`) does not look at messages. Two things come of it:
  - When what may follow includes moments that differ by messages sent alone, they cost nothing and hinder nothing, one
    another neither. So all of these are sent at once, and only the moment after that is followed (`follow`). Each adds
    a message and there are finitely many, so that nothing else is put off for ever.
  - A moment that one seen before covers is not followed (`Frontier`). So that few are followed which one seen later
    would cover, they are taken in the order of their progress, and the richest first.

*A journal's id is only ever compared with another.* So what counts is whether the gateway knows the device's present
one (`canonical`).

Both keep the gateway, the device, the world and the budget of each moment. Moments are compared as themselves, never by
a hash alone.

`test_vend_reduction.py` holds the reduced search against one that drops nothing: the same gateways, devices and worlds,
and the same broken promises once a rule of the product is broken on purpose.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator

from tests.lab.vend_model import successors
from tests.lab.vend_state import Budget, Device, Gateway, State, World

Messages = frozenset[tuple[object, ...]]
Core = tuple[Gateway, Device, World, Budget]
Model = Callable[[State], Iterable[State]]
LEDGER_STAGES = (None, "requested", "cancelling")
"""An outcome comes after them."""


def canonical(state: State) -> State:
    """The moment that stands for all that differ from it in the names of journals."""
    gateway = state.gateway._replace(journal_id=0)
    device = state.device._replace(journal_id=int(state.gateway.journal_id != state.device.journal_id))
    return state._replace(gateway=gateway, device=device)


def core(state: State) -> Core:
    """All but the messages."""
    return state.gateway, state.device, state.world, state.budget


def follow(state: State, model: Model = successors) -> list[State]:
    """The canonical moments after this one that stand for all of them."""
    up, down = state.up, state.down
    others = []
    for after in map(canonical, model(state)):
        if core(after) == core(state) and after.up >= state.up and after.down >= state.down:
            up |= after.up
            down |= after.down
        else:
            others.append(after)
    richer = state._replace(up=up, down=down)
    return others if richer == state else [richer]


def progress(state: State) -> int:
    """How far the vends are: what no step takes back. Only the order of the search hangs on it."""
    us, world = state.gateway, state.world
    ledger = sum(LEDGER_STAGES.index(entry) if entry in LEDGER_STAGES else len(LEDGER_STAGES) for entry in us.ledger)
    return ledger + sum(us.drop_seen) + sum(us.stock_taken) + sum(world.starts) + sum(world.drops)


class Frontier:
    """The moments that are still to be followed, and what is known of those that were."""

    def __init__(self) -> None:
        self._richest: dict[Core, list[tuple[Messages, Messages]]] = {}
        """Per core the messages, down and up, of the moments that no other one covers."""
        self._waiting: list[tuple[int, int, int, int, State]] = []
        self._parts: dict[object, object] = {}
        self._added = 0

    def add(self, depth: int, state: State) -> bool:
        """Whether the moment is to be followed: none before covers it."""
        state = State._make(self._parts.setdefault(part, part) for part in state)
        down, up = state.down, state.up
        known = self._richest.setdefault(core(state), [])
        if any(more_down >= down and more_up >= up for more_down, more_up in known):
            return False
        known[:] = [(less_down, less_up) for less_down, less_up in known if not (less_down <= down and less_up <= up)]
        known.append((down, up))
        self._added += 1
        heapq.heappush(self._waiting, (progress(state), -len(down) - len(up), self._added, depth, state))
        return True

    def take(self) -> Iterator[tuple[int, State]]:
        """Each moment that is to be followed, with its depth, until none is left."""
        while self._waiting:
            *_, depth, state = heapq.heappop(self._waiting)
            if (state.down, state.up) in self._richest[core(state)]:
                yield depth, state


def walk(first: State, model: Model = successors) -> Iterator[tuple[int, State, State]]:
    """Every moment that may come after `first`, but those another one stands for: (depth, the one before, the moment).

    Ends when nothing is left to follow.
    """
    frontier = Frontier()
    frontier.add(0, canonical(first))
    for depth, state in frontier.take():
        for after in follow(state, model):
            if frontier.add(depth + 1, after):
                yield depth + 1, state, after
