"""Every interleaving of two vends with crashes, lost, repeated and delayed messages (RELIABILITY R4).

The moments and what may follow them, made of the pure functions that the product runs: `edge.dispensing.rules` on the
gateway's side, `firmware.vending.rules` on the device's. What surrounds them is modelled as loosely as it can be:
messages arrive in any order, any number of times or never, time may pass at any moment, power may go between any two
steps of either side and the device's journal with it, and the coil turns on its own.

`vend_state.py` says what a moment is; `vend_search.py` walks through them.
"""

from collections.abc import Iterator
from functools import lru_cache
from uuid import UUID

from edge.devices import rules as journals
from edge.dispensing import rules as gateway
from edge.dispensing.rules import Answer, OpenVend, Step
from firmware.vending import rules as device
from shared.devices import Evidence, VendAnswer, VendReport, VendResult, VendState
from shared.orders import VendOutcome
from tests.lab.vend_state import Gateway, State, World, age, evidence_so_far, move, open_vend, put, running_vend, write

VENDS = tuple(str(UUID(int=number)) for number in (1, 2))
SLOT = "A1"
BOOT = UUID(int=9)


def successors(state: State) -> Iterator[State]:
    """Every moment that may follow."""
    for act in (_gateway_acts, _device_acts, _messages_arrive, _things_go_wrong):
        for after in act(state):
            yield _without_noise(after)


def _without_noise(state: State) -> State:
    """The same moment less the words about vends that are over: the gateway hears them no more (`_at_gateway`).

    No command is taken away, whatever has become of its vend: that a device refuses a late one is for the product's
    rules to show.
    """
    current = open_vend(state.gateway)
    up = frozenset(message for message in state.up if message[0] == "report" or message[1] == current)
    return state if len(up) == len(state.up) else state._replace(up=up)


def _gateway_acts(state: State) -> Iterator[State]:
    us = state.gateway
    vend = open_vend(us)
    if vend is None:
        waiting = next((place for place, entry in enumerate(us.ledger) if entry is None), None)
        if waiting is not None and us.nonce is not None:
            requested = put(us.ledger, waiting, "requested")
            yield state._replace(gateway=us._replace(ledger=requested, published=False, answer=Answer.NONE))
        return
    for overdue in (False, True):
        yield from _take_step(state, vend, _next_step(us, vend, overdue=overdue, lapsed=False))
    step = _next_step(us, vend, overdue=True, lapsed=True)
    if us.published and step in gateway.ENDINGS and not state.device.motion:
        # Half a minute has passed: a motion is over, and the nonce was renewed twice and told if it could be.
        later = age(state, keep_previous=False)
        told = us._replace(nonce=None if us.nonce is None else 0)
        yield from _take_step(later._replace(gateway=told), vend, step)
    if us.ledger[vend] == "requested" and state.budget.cancels:
        spent = state.budget._replace(cancels=state.budget.cancels - 1)
        yield state._replace(gateway=us._replace(ledger=put(us.ledger, vend, "cancelling")), budget=spent)


def _next_step(us: Gateway, vend: int, *, overdue: bool, lapsed: bool) -> Step:
    known = OpenVend(us.ledger[vend] == "cancelling", us.published, us.answer, us.drop_seen[vend])
    return gateway.next_step(known, connected=us.nonce is not None, overdue=overdue, lapsed=lapsed)


def _take_step(state: State, vend: int, step: Step) -> Iterator[State]:
    us = state.gateway
    if step in gateway.ENDINGS:
        yield state._replace(gateway=_resolve(us, vend, gateway.ENDINGS[step]))
    elif step is Step.BEGIN_CANCEL:
        yield state._replace(gateway=us._replace(ledger=put(us.ledger, vend, "cancelling")))
    elif step is Step.DISPENSE:
        # Two moments, for the process may die between them.
        published = state._replace(gateway=us._replace(published=True))
        yield published
        yield published._replace(down=state.down | {("dispense", vend, us.nonce)})
    elif step in (Step.CANCEL, Step.QUERY):
        yield state._replace(down=state.down | {(step.value, vend, None)})


def _resolve(us: Gateway, vend: int, outcome: VendOutcome) -> Gateway:
    taken = put(us.stock_taken, vend, us.stock_taken[vend] or outcome is VendOutcome.DISPENSED)
    return us._replace(ledger=put(us.ledger, vend, outcome), stock_taken=taken)


def _device_acts(state: State) -> Iterator[State]:
    if state.device.motion:
        yield from MOTIONS[state.device.motion](state)
    for vend in state.device.journal.vends:
        if vend.state == device.ENDED:
            yield state._replace(up=state.up | {("report", vend)})
    if state.gateway.nonce is None:
        yield _connect(state)


def _connect(state: State) -> State:
    """The hello, and the verdict that is committed with it."""
    fresh = age(state, keep_previous=False)
    us, vend = fresh.gateway._replace(nonce=0), open_vend(fresh.gateway)
    reached = us.reached
    if vend is not None and us.answer is Answer.RUNNING:
        reached = max(reached, (1, vend + 1))
    told = journals.Journal(str(state.device.journal_id), state.device.journal.highest)
    if journals.is_lost(journals.Journal(str(us.journal_id), reached), told):
        us = us._replace(lost=sum(entry is not None for entry in us.ledger))
    us = us._replace(journal_id=state.device.journal_id, reached=told.highest)
    if vend is not None and us.published and gateway.is_lost((1, vend + 1), (1, us.lost), us.reached):
        us = us._replace(answer=Answer.LOST)
    return fresh._replace(gateway=us)


def _task(state: State) -> Iterator[State]:
    vend = device.running(state.device.journal)
    records = device.begin(state.device.journal, vend.epoch, vend.seq, state.world.home) if vend else ()
    yield write(state, records, "armed" if records else "")
    if vend is not None:
        # Its zone has locked since.
        yield write(state, (("X", vend.epoch, vend.seq, vend.vend_id, device.NOT_STARTED),), "")


def _armed(state: State) -> Iterator[State]:
    place = running_vend(state)
    starts = put(state.world.starts, place, state.world.starts[place] + 1)
    late = isinstance(state.gateway.ledger[place], VendOutcome)
    yield move(state._replace(world=state.world._replace(starts=starts, late_start=late)), "turning")


def _turning(state: State) -> Iterator[State]:
    yield move(state._replace(world=state.world._replace(home=False)), "leaving")
    yield _done(state, left_home=False)


def _leaving(state: State) -> Iterator[State]:
    yield write(state, (("L", 1, running_vend(state) + 1),), "left")


def _left(state: State) -> Iterator[State]:
    if not evidence_so_far(state).drop:
        yield move(state._replace(world=_fall(state)), "falling")
    yield move(state._replace(world=state.world._replace(home=True)), "back")
    yield _done(state, left_home=True)


def _falling(state: State) -> Iterator[State]:
    place = running_vend(state)
    told = state._replace(up=state.up | {("drop", place)})
    yield write(told, (("P", 1, place + 1),), "left")


def _back(state: State) -> Iterator[State]:
    yield _done(state, left_home=True)


MOTIONS = {
    "task": _task,
    "armed": _armed,
    "turning": _turning,
    "leaving": _leaving,
    "left": _left,
    "falling": _falling,
    "back": _back,
}
"""What may follow while a vend runs: journal first, then metal; what metal did, then journal."""


def _done(state: State, *, left_home: bool) -> State:
    seen = evidence_so_far(state)
    evidence = device.Evidence(bool(seen.drop), left_home, seen.home_before, state.world.home, 1000)
    place = running_vend(state)
    return write(state, device.end(state.device.journal, 1, place + 1, evidence), "")


def _messages_arrive(state: State) -> Iterator[State]:
    for message in state.down:
        yield _at_device(state, message)
    for message in state.up:
        yield _at_gateway(state, message)


def _at_device(state: State, message: tuple[object, ...]) -> State:
    kind, place, nonce = message
    assert isinstance(place, int)
    command = device.Command(kind, 1, place + 1, VENDS[place], SLOT, nonce, None, None, None)
    fresh = nonce == 0 or (nonce == 1 and state.device.keeps_previous)
    fits = device.running(state.device.journal) is None
    decision = device.decide(state.device.journal, command, device.Facts(fresh, True, True, False, fits))
    motion = "task" if decision.start else state.device.motion
    after = write(state, decision.records, motion)
    if isinstance(decision.answer, device.Vend):
        return after._replace(up=after.up | {("report", decision.answer)})
    if decision.answer is not None and decision.answer.state in ("accepted", "started", "forgotten"):
        return after._replace(up=after.up | {("answer", place, decision.answer.state)})
    return after


def _at_gateway(state: State, message: tuple[object, ...]) -> State:
    if message[0] == "report":
        assert isinstance(message[1], device.Vend)
        return _settle(state, message[1])
    place, us = message[1], state.gateway
    if place != open_vend(us):
        return state
    assert isinstance(place, int)
    if message[0] == "drop":
        return state._replace(gateway=us._replace(drop_seen=put(us.drop_seen, place, True)))
    return state._replace(gateway=us._replace(answer=gateway.heard(_answer(str(message[2])), us.answer)))


def _settle(state: State, vend: device.Vend) -> State:
    place = vend.seq - 1
    us = state.gateway._replace(reached=max(state.gateway.reached, (1, vend.seq)))
    outcome = _judge(vend, us.drop_seen[place])
    if not isinstance(us.ledger[place], VendOutcome):
        us = _resolve(us, place, outcome)
    elif outcome is VendOutcome.DISPENSED and us.ledger[place] is not VendOutcome.DISPENSED:
        us = us._replace(stock_taken=put(us.stock_taken, place, True))
    return state._replace(gateway=us, down=state.down | {("acknowledge", place, None)})


def _things_go_wrong(state: State) -> Iterator[State]:
    us, budget = state.gateway, state.budget
    if budget.crashes:
        spent = budget._replace(crashes=budget.crashes - 1)
        dead = us._replace(published=open_vend(us) is not None, answer=Answer.NONE, nonce=None)
        yield state._replace(gateway=dead, budget=spent)
        for world in _power_goes(state):
            yield _reboot(state._replace(world=world, budget=spent))
    if budget.wipes:
        spent = budget._replace(wipes=budget.wipes - 1)
        for world in _power_goes(state):
            yield _wipe(state._replace(world=world, budget=spent))
    if budget.cuts and us.nonce is not None:
        spent = budget._replace(cuts=budget.cuts - 1)
        yield state._replace(gateway=us._replace(nonce=None), budget=spent)
    if budget.renewals:
        unheard = age(state, keep_previous=True)._replace(budget=budget._replace(renewals=budget.renewals - 1))
        yield unheard
        if us.nonce is not None:
            yield unheard._replace(gateway=unheard.gateway._replace(nonce=0))


def _power_goes(state: State) -> Iterator[World]:
    """Where things may come to rest: the coil may still leave home, and a product may still fall, in the dark."""
    yield state.world
    if state.device.motion == "turning":
        yield state.world._replace(home=False)
    if state.device.motion in ("leaving", "left") and not state.world.drops[running_vend(state)]:
        yield _fall(state)


def _reboot(state: State) -> State:
    records = device.recover(state.device.journal, {SLOT: state.world.home})
    after = age(write(state, records, ""), keep_previous=False)
    return after._replace(gateway=after.gateway._replace(nonce=None))


def _wipe(state: State) -> State:
    """Another board. A cancel that was on its way to the old one ends with its connection: MQTT remembers nothing."""
    down = frozenset(message for message in state.down if message[0] != "cancel")
    blank = state.device._replace(journal=device.EMPTY, motion="", journal_id=state.device.journal_id + 1)
    return _reboot(state._replace(device=blank, down=down))


def _fall(state: State) -> World:
    place = running_vend(state)
    return state.world._replace(drops=put(state.world.drops, place, state.world.drops[place] + 1))


@lru_cache
def _answer(state: str) -> VendAnswer:
    return VendAnswer(boot_id=BOOT, epoch=1, seq=1, vend_id=BOOT, state=VendState(state), nonce="0" * 16)


@lru_cache(maxsize=4096)
def _judge(vend: device.Vend, drop_seen: bool) -> VendOutcome:
    evidence = Evidence(**vend.evidence._asdict()) if vend.evidence is not None else None
    report = VendReport(
        boot_id=BOOT,
        epoch=vend.epoch,
        seq=vend.seq,
        vend_id=UUID(vend.vend_id),
        slot=vend.slot,
        result=VendResult(vend.result),
        evidence=evidence,
    )
    return gateway.judge(report, drop_seen=drop_seen)
