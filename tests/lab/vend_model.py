"""Every interleaving of two vends with crashes, lost, repeated and delayed messages (RELIABILITY R4).

One vend comes after the other, or both side by side. The moments and what may follow them, made of the pure functions
that the product runs: `edge.dispensing.rules` on the gateway's side, `firmware.vending.rules` on the device's. What
surrounds them is modelled as loosely as it can be: messages arrive in any order, any number of times or never, time may
pass at any moment, power may go between any two steps of either side and the device's journal with it, and the coil
turns on its own.

`vend_state.py` says what a moment is; `vend_search.py` walks through them.
"""

from collections.abc import Iterator
from functools import lru_cache
from uuid import UUID

from edge.devices import rules as journals
from edge.dispensing import rules as gateway
from edge.dispensing.rules import Answer, OpenVend, Step
from firmware.vending import recovery
from firmware.vending import rules as device
from shared.devices import Evidence, Refusal, VendAnswer, VendReport, VendResult, VendState
from shared.orders import VendOutcome
from tests.fakes.device_settings import SLOT
from tests.lab.vend_state import (
    Gateway,
    State,
    World,
    age,
    at_home,
    evidence_so_far,
    is_home,
    move,
    open_vends,
    put,
    slot_of,
    write,
)

VENDS = tuple(str(UUID(int=number)) for number in (1, 2))
CODES = ("A1", "B1")
SLOTS = {code: SLOT._replace(draw_ma=1, chute=code) for code in CODES}
BOOT = UUID(int=9)
HEARD = {(state, None) for state in ("accepted", "started", "forgotten")} | {(device.REFUSED, device.ZONE_LOCKED)}
"""State and reason of the answers from which a gateway concludes anything."""


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
    current = open_vends(state.gateway)
    up = frozenset(message for message in state.up if message[0] == "report" or message[1] in current)
    return state if len(up) == len(state.up) else state._replace(up=up)


def _gateway_acts(state: State) -> Iterator[State]:
    us = state.gateway
    under_way = open_vends(us)
    for vend in under_way:
        yield from _carry_on(state, vend)
    waiting = next((place for place, entry in enumerate(us.ledger) if entry is None), None)
    has_room = gateway.has_room([us.answer[vend] for vend in under_way], state.at_once)
    if waiting is not None and us.nonce is not None and has_room:
        yield state._replace(gateway=us._replace(ledger=put(us.ledger, waiting, "requested")))


def _carry_on(state: State, vend: int) -> Iterator[State]:
    us = state.gateway
    for overdue in (False, True):
        yield from _take_step(state, vend, _next_step(us, vend, overdue=overdue, lapsed=False))
    step = _next_step(us, vend, overdue=True, lapsed=True)
    if us.published[vend] and step in gateway.ENDINGS and not state.device.motions[vend]:
        # Half a minute has passed: a motion is over, and the nonce was renewed twice and told if it could be.
        later = age(state, keep_previous=False)
        told = us._replace(nonce=None if us.nonce is None else 0)
        yield from _take_step(later._replace(gateway=told), vend, step)
    if us.ledger[vend] == "requested" and state.budget.cancels:
        spent = state.budget._replace(cancels=state.budget.cancels - 1)
        yield state._replace(gateway=us._replace(ledger=put(us.ledger, vend, "cancelling")), budget=spent)


def _next_step(us: Gateway, vend: int, *, overdue: bool, lapsed: bool) -> Step:
    known = OpenVend(us.ledger[vend] == "cancelling", us.published[vend], us.answer[vend], us.drop_seen[vend])
    return gateway.next_step(known, connected=us.nonce is not None, overdue=overdue, lapsed=lapsed)


def _take_step(state: State, vend: int, step: Step) -> Iterator[State]:
    us = state.gateway
    if step in gateway.ENDINGS:
        yield state._replace(gateway=_resolve(us, vend, gateway.ENDINGS[step]))
    elif step is Step.BEGIN_CANCEL:
        yield state._replace(gateway=us._replace(ledger=put(us.ledger, vend, "cancelling")))
    elif step is Step.DISPENSE:
        # Two moments, for the process may die between them.
        published = state._replace(gateway=us._replace(published=put(us.published, vend, True)))
        yield published
        yield published._replace(down=state.down | {("dispense", vend, us.nonce)})
    elif step in (Step.CANCEL, Step.QUERY):
        yield state._replace(down=state.down | {(step.value, vend, None)})


def _resolve(us: Gateway, vend: int, outcome: VendOutcome) -> Gateway:
    taken = put(us.stock_taken, vend, us.stock_taken[vend] or outcome is VendOutcome.DISPENSED)
    # What was known of its way is of no use any more.
    published, answer = put(us.published, vend, False), put(us.answer, vend, Answer.NONE)
    return us._replace(ledger=put(us.ledger, vend, outcome), stock_taken=taken, published=published, answer=answer)


def _device_acts(state: State) -> Iterator[State]:
    for place, motion in enumerate(state.device.motions):
        if motion:
            yield from MOTIONS[motion](state, place)
    for vend in state.device.journal.vends:
        if vend.state == device.ENDED:
            yield state._replace(up=state.up | {("report", vend)})
    if state.gateway.nonce is None:
        yield _connect(state)


def _connect(state: State) -> State:
    """The hello, and the verdict that is committed with it."""
    fresh = age(state, keep_previous=False)
    us = fresh.gateway._replace(nonce=0)
    reached = us.reached
    for vend in open_vends(us):
        if us.answer[vend] is Answer.RUNNING:
            reached = max(reached, (1, vend + 1))
    told = journals.Journal(str(state.device.journal_id), state.device.journal.highest)
    if journals.is_lost(journals.Journal(str(us.journal_id), reached), told):
        us = us._replace(lost=sum(entry is not None for entry in us.ledger))
    us = us._replace(journal_id=state.device.journal_id, reached=told.highest)
    for vend in open_vends(us):
        if us.published[vend] and gateway.is_lost((1, vend + 1), (1, us.lost), us.reached):
            us = us._replace(answer=put(us.answer, vend, Answer.LOST))
    return fresh._replace(gateway=us)


def _task(state: State, place: int) -> Iterator[State]:
    vend = device.find(state.device.journal, 1, place + 1)
    records = device.begin(state.device.journal, 1, place + 1, is_home(state, place))
    yield move(write(state, records), place, "armed" if records else "")
    if vend is not None and vend.state == device.ACCEPTED:
        # Its zone has locked since.
        buried = write(state, (("X", vend.epoch, vend.seq, vend.vend_id, device.NOT_STARTED),))
        yield move(buried, place, "")


def _armed(state: State, place: int) -> Iterator[State]:
    starts = put(state.world.starts, place, state.world.starts[place] + 1)
    late = state.world.late_start or isinstance(state.gateway.ledger[place], VendOutcome)
    yield move(state._replace(world=state.world._replace(starts=starts, late_start=late)), place, "turning")


def _turning(state: State, place: int) -> Iterator[State]:
    yield move(state._replace(world=at_home(state, state.world, place, False)), place, "leaving")
    yield _done(state, place, left_home=False)


def _leaving(state: State, place: int) -> Iterator[State]:
    yield move(write(state, (("L", 1, place + 1),)), place, "left")


def _left(state: State, place: int) -> Iterator[State]:
    if not evidence_so_far(state, place).drop:
        yield move(state._replace(world=_fall(state.world, place)), place, "falling")
    yield move(state._replace(world=at_home(state, state.world, place, True)), place, "back")
    yield _done(state, place, left_home=True)


def _falling(state: State, place: int) -> Iterator[State]:
    told = state._replace(up=state.up | {("drop", place)})
    yield move(write(told, (("P", 1, place + 1),)), place, "left")


def _back(state: State, place: int) -> Iterator[State]:
    yield _done(state, place, left_home=True)


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


def _done(state: State, place: int, *, left_home: bool) -> State:
    seen = evidence_so_far(state, place)
    evidence = device.Evidence(bool(seen.drop), left_home, seen.home_before, is_home(state, place), 1000)
    return move(write(state, device.end(state.device.journal, 1, place + 1, evidence)), place, "")


def _messages_arrive(state: State) -> Iterator[State]:
    for message in state.down:
        for is_locked in (False, True):
            yield _at_device(state, message, is_locked)
    for message in state.up:
        yield _at_gateway(state, message)


def _at_device(state: State, message: tuple[object, ...], is_locked: bool) -> State:
    kind, place, nonce = message
    assert isinstance(place, int)
    slot, journal = CODES[slot_of(state, place)], state.device.journal
    command = device.Command(kind, 1, place + 1, VENDS[place], slot, nonce, None, None, None)
    fresh = nonce == 0 or (nonce == 1 and state.device.keeps_previous)
    fits = device.fits(journal, slot, SLOTS, len(CODES) if state.at_once > 1 else None)
    decision = device.decide(journal, command, device.Facts(fresh, True, True, is_locked, fits))
    after = write(state, decision.records)
    if decision.start:
        after = move(after, place, "task")
    if isinstance(decision.answer, device.Vend):
        return after._replace(up=after.up | {("report", decision.answer)})
    if decision.answer is not None and (decision.answer.state, decision.answer.reason) in HEARD:
        return after._replace(up=after.up | {("answer", place, decision.answer.state)})
    return after


def _at_gateway(state: State, message: tuple[object, ...]) -> State:
    if message[0] == "report":
        assert isinstance(message[1], device.Vend)
        return _settle(state, message[1])
    place, us = message[1], state.gateway
    assert isinstance(place, int)
    if place not in open_vends(us):
        return state
    if message[0] == "drop":
        return state._replace(gateway=us._replace(drop_seen=put(us.drop_seen, place, True)))
    heard = gateway.heard(_answer(str(message[2])), us.answer[place])
    return state._replace(gateway=us._replace(answer=put(us.answer, place, heard)))


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
        published = tuple(entry in ("requested", "cancelling") for entry in us.ledger)
        dead = us._replace(published=published, answer=(Answer.NONE,) * len(us.ledger), nonce=None)
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
    """Where things may come to rest: a coil may still leave home, and a product may still fall, in the dark."""
    worlds = [state.world]
    for place, motion in enumerate(state.device.motions):
        if motion == "turning":
            worlds += [at_home(state, world, place, False) for world in worlds]
        if motion in ("leaving", "left") and not state.world.drops[place]:
            worlds += [_fall(world, place) for world in worlds]
    yield from worlds


def _reboot(state: State) -> State:
    homes = dict(zip(CODES, state.world.homes, strict=False))
    after = age(write(state, recovery.recover(state.device.journal, homes)), keep_previous=False)
    still = after.device._replace(motions=("",) * len(after.device.motions))
    return after._replace(device=still, gateway=after.gateway._replace(nonce=None))


def _wipe(state: State) -> State:
    """Another board. A cancel that was on its way to the old one ends with its connection: MQTT remembers nothing."""
    down = frozenset(message for message in state.down if message[0] != "cancel")
    blank = state.device._replace(journal=device.EMPTY, journal_id=state.device.journal_id + 1)
    return _reboot(state._replace(device=blank, down=down))


def _fall(world: World, place: int) -> World:
    return world._replace(drops=put(world.drops, place, world.drops[place] + 1))


@lru_cache
def _answer(state: str) -> VendAnswer:
    reason = Refusal.ZONE_LOCKED if state == VendState.REFUSED else None
    return VendAnswer(boot_id=BOOT, epoch=1, seq=1, vend_id=BOOT, state=VendState(state), nonce="0" * 16, reason=reason)


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
