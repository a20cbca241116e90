"""The moments of the vend model (`vend_model.py`), and how one is made from another.

A nonce is modelled by its age: 0 is the device's current one, 1 its previous one, STALE any older one.
"""

from math import inf
from typing import NamedTuple, TypeVar

from edge.dispensing.rules import Answer
from firmware.vending import rules as device
from shared.orders import VendOutcome

T = TypeVar("T")
STALE = 2


class Budget(NamedTuple):
    """How often each thing may still happen; `inf` is any number of times, and then a moment keeps no count of it."""

    crashes: float
    cuts: float
    cancels: float
    renewals: float
    wipes: float = 0


ANYTHING = Budget(inf, inf, inf, inf, inf)
"""Every run within a smaller budget is a run within this one: a budget only forbids."""


class Gateway(NamedTuple):
    """`ledger` survives a crash: per vend None (waiting), "requested", "cancelling" or its VendOutcome.

    So does what is known of the device's journal: which one it is, and the highest (epoch, seq) it reaches.
    """

    ledger: tuple[str | VendOutcome | None, ...]
    drop_seen: tuple[bool, ...]
    stock_taken: tuple[bool, ...]
    published: tuple[bool, ...]
    answer: tuple[Answer, ...]
    nonce: int | None
    """The age of what it would quote; None while the device is not connected."""
    journal_id: int = 0
    reached: tuple[int, int] = (0, 0)
    lost: int = 0
    """The highest seq given out when a journal was last found to be lost."""


class Device(NamedTuple):
    """`journal` and the coils survive a crash."""

    journal: device.Journal
    keeps_previous: bool
    """Whether the previous nonce is still taken."""
    motions: tuple[str, ...]
    """Of each vend as it runs in this boot: "" if it does not, or a key of MOTIONS."""
    journal_id: int = 0


class World(NamedTuple):
    """What physically happened, per vend; and whether the coil of each slot is at home."""

    starts: tuple[int, ...]
    late_start: bool
    """A motor started for a vend that had its outcome."""
    drops: tuple[int, ...]
    homes: tuple[bool, ...]


class State(NamedTuple):
    """One moment."""

    gateway: Gateway
    device: Device
    world: World
    down: frozenset[tuple[object, ...]]
    """Commands ever sent: (type, vend, nonce). Each may arrive at any time, again and again, or never."""
    up: frozenset[tuple[object, ...]]
    """Answers, drops and reports ever sent, likewise."""
    budget: Budget
    at_once: int = 1
    """So many motors may turn together; with more than one, each vend has a slot of its own, else they share one."""


def start(budget: Budget, vends: int = 2, at_once: int = 1) -> State:
    """The vends paid for and waiting, the device connected."""
    no, none = (False,) * vends, (0,) * vends
    ledger = Gateway((None,) * vends, no, no, no, (Answer.NONE,) * vends, 0)
    world = World(none, False, none, (True,) * (vends if at_once > 1 else 1))
    idle = Device(device.EMPTY, False, ("",) * vends)
    return State(ledger, idle, world, frozenset(), frozenset(), budget, at_once)


def age(state: State, *, keep_previous: bool) -> State:
    """The device makes a new nonce, and keeps the one before it or not."""

    def older(nonce: object) -> object:
        return nonce if nonce is None else (1 if nonce == 0 and keep_previous else STALE)

    down = frozenset((kind, place, older(nonce)) for kind, place, nonce in state.down)
    quoted = older(state.gateway.nonce)
    assert quoted is None or isinstance(quoted, int)
    return state._replace(
        down=down,
        device=state.device._replace(keeps_previous=keep_previous),
        gateway=state.gateway._replace(nonce=quoted),
    )


def evidence_so_far(state: State, place: int) -> device.Evidence:
    """What the sensors have seen of a vend that has started."""
    vend = device.find(state.device.journal, 1, place + 1)
    assert vend is not None
    evidence: device.Evidence = vend.evidence
    return evidence


def write(state: State, records: tuple[tuple[object, ...], ...]) -> State:
    """After the device has written these records."""
    journal = state.device.journal
    for record in records:
        journal = device.apply(journal, record)
    return state._replace(device=state.device._replace(journal=journal))


def move(state: State, place: int, motion: str) -> State:
    """After the motor or the coil of a vend has moved on."""
    return state._replace(device=state.device._replace(motions=put(state.device.motions, place, motion)))


def slot_of(state: State, place: int) -> int:
    """The vend's slot, as a place in `World.homes`."""
    return place if state.at_once > 1 else 0


def is_home(state: State, place: int) -> bool:
    """Whether the coil of a vend's slot is at home."""
    return state.world.homes[slot_of(state, place)]


def at_home(state: State, world: World, place: int, home: bool) -> World:
    """The world once that coil is at home, or has left it."""
    return world._replace(homes=put(world.homes, slot_of(state, place), home))


def open_vends(us: Gateway) -> list[int]:
    """The vends between their request and their outcome."""
    return [vend for vend, entry in enumerate(us.ledger) if entry in ("requested", "cancelling")]


def put(values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    """The values with another one in this place."""
    return (*values[:place], value, *values[place + 1 :])
