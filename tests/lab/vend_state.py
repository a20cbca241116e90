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
    published: bool
    answer: Answer
    nonce: int | None
    """The age of what it would quote; None while the device is not connected."""
    journal_id: int = 0
    reached: tuple[int, int] = (0, 0)
    lost: int = 0
    """The highest seq given out when a journal was last found to be lost."""


class Device(NamedTuple):
    """`journal` and the coil survive a crash."""

    journal: device.Journal
    keeps_previous: bool
    """Whether the previous nonce is still taken."""
    motion: str
    """Of the vend that runs in this boot: "" for none, or a key of MOTIONS."""
    journal_id: int = 0


class World(NamedTuple):
    """What physically happened, per vend; and where the coil is."""

    starts: tuple[int, ...]
    late_start: bool
    """A motor started for a vend that had its outcome."""
    drops: tuple[int, ...]
    home: bool


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


def start(budget: Budget, vends: int = 2) -> State:
    """The vends paid for and waiting, the device connected."""
    no, none = (False,) * vends, (0,) * vends
    ledger = Gateway((None,) * vends, no, no, False, Answer.NONE, 0)
    return State(
        ledger, Device(device.EMPTY, False, ""), World(none, False, none, True), frozenset(), frozenset(), budget
    )


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


def running_vend(state: State) -> int:
    """The vend that is accepted or started."""
    vend = device.running(state.device.journal)
    assert vend is not None
    return int(vend.seq) - 1


def evidence_so_far(state: State) -> device.Evidence:
    """What the sensors have seen of it."""
    vend = device.running(state.device.journal)
    assert vend is not None
    evidence: device.Evidence = vend.evidence
    return evidence


def write(state: State, records: tuple[tuple[object, ...], ...], motion: str) -> State:
    """After the device has written these records."""
    journal = state.device.journal
    for record in records:
        journal = device.apply(journal, record)
    return state._replace(device=state.device._replace(journal=journal, motion=motion))


def move(state: State, motion: str) -> State:
    """After the motor or the coil has moved on."""
    return state._replace(device=state.device._replace(motion=motion))


def open_vend(us: Gateway) -> int | None:
    """The vend between its request and its outcome."""
    return next((vend for vend, entry in enumerate(us.ledger) if entry in ("requested", "cancelling")), None)


def put(values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    """The values with another one in this place."""
    return (*values[:place], value, *values[place + 1 :])
