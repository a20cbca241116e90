"""The reduced search sees what one without any reduction sees, and finds the rules that are broken on purpose."""

from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace

import pytest

from edge.dispensing import rules as gateway
from firmware.vending import rules as device
from shared.devices import VendReport, VendResult
from shared.orders import VendOutcome
from tests.lab import vend_model
from tests.lab.vend_reduction import Model, canonical, core, follow, walk
from tests.lab.vend_search import Violation, check, check_rest
from tests.lab.vend_state import Budget, State, start

CALM = Budget(crashes=0, cuts=0, cancels=0, renewals=0)
CRASHED = Budget(crashes=1, cuts=0, cancels=0, renewals=0)
WIPED = Budget(crashes=0, cuts=0, cancels=0, renewals=0, wipes=1)
AGED = Budget(crashes=1, cuts=0, cancels=0, renewals=1)


def every_moment(first: State, model: Model = vend_model.successors) -> Iterator[State]:
    """Nothing reduced."""
    seen, waiting = {first}, [first]
    while waiting:
        state = waiting.pop()
        yield state
        new = set(model(state)) - seen
        seen |= new
        waiting.extend(new)


def broken_promises(state: State) -> set[str]:
    found = set()
    for promise in (check, check_rest):
        try:
            promise(state)
        except Violation as violation:
            found.add(str(violation))
    return found


def reduced(first: State, model: Model = vend_model.successors) -> Iterator[State]:
    yield canonical(first)
    for _, _, state in walk(first, model):
        yield state


@pytest.mark.parametrize(("budget", "vends"), [(WIPED, 1), (AGED, 1), pytest.param(CALM, 2, marks=pytest.mark.lab)])
def test_the_same_gateways_devices_and_worlds_are_reached(budget: Budget, vends: int) -> None:
    first = start(budget, vends)
    kept = list(reduced(first))
    dropped_nothing = list(every_moment(first))
    assert {core(state) for state in kept} == {core(canonical(state)) for state in dropped_nothing}
    assert len(kept) < len(dropped_nothing)


def covers(richer: State, state: State) -> bool:
    return core(richer) == core(state) and richer.up >= state.up and richer.down >= state.down


def test_a_moment_with_more_messages_may_do_all_that_one_with_fewer_may() -> None:
    compared = 0
    for moment in every_moment(start(CRASHED, vends=1)):
        state = canonical(moment)
        followed = follow(state)
        if len(followed) != 1 or not covers(followed[0], state):
            continue
        richer = followed[0]
        may_do = [richer, *map(canonical, vend_model.successors(richer))]
        for after in map(canonical, vend_model.successors(state)):
            assert any(covers(one, after) for one in may_do)
        compared += 1
    assert compared > 1000


def product_with(side: str, **rules: Callable[..., object]) -> Model:
    """A copy of the model around a product in which these rules are others. Ends where a promise is broken."""
    spec = spec_from_file_location("vend_model_of_a_broken_product", vend_model.__file__)
    assert spec is not None
    assert spec.loader is not None
    model = module_from_spec(spec)
    spec.loader.exec_module(model)
    vars(model)[side] = SimpleNamespace(**{**vars(vars(vend_model)[side]), **rules})
    successors: Model = vars(model)["successors"]
    return lambda state: () if broken_promises(state) else successors(state)


def heedless_of_nonces(journal: device.Journal, command: device.Command, facts: device.Facts) -> device.Decision:
    return device.decide(journal, command, facts._replace(nonce_fresh=True))


def forgetful_of_the_highest(journal: device.Journal, command: device.Command, facts: device.Facts) -> device.Decision:
    return device.decide(journal._replace(highest=(0, 0)), command, facts)


def sure_of_the_dark(journal: device.Journal, homes: dict[str, bool]) -> tuple[object, ...]:
    return tuple(
        ("X", vend.epoch, vend.seq, vend.vend_id, device.NOT_STARTED)
        for vend in journal.vends
        if vend.state != device.ENDED
    )


def sure_of_interruptions(report: VendReport, *, drop_seen: bool) -> VendOutcome:
    outcome = gateway.judge(report, drop_seen=drop_seen)
    interrupted = report.result is VendResult.INTERRUPTED
    return VendOutcome.NO_DROP if interrupted and outcome is VendOutcome.AMBIGUOUS else outcome


@pytest.mark.parametrize(
    ("budget", "product"),
    [
        pytest.param(WIPED, product_with("gateway", is_lost=lambda *_: False), id="a lost journal is not noticed"),
        pytest.param(CALM, product_with("device", decide=heedless_of_nonces), id="an old nonce is taken"),
        pytest.param(CALM, product_with("device", decide=forgetful_of_the_highest), id="an old seq is taken again"),
        pytest.param(CRASHED, product_with("recovery", recover=sure_of_the_dark), id="interrupted is not started"),
        pytest.param(CRASHED, product_with("gateway", judge=sure_of_interruptions), id="not known is no drop"),
    ],
)
def test_a_rule_that_is_broken_on_purpose_is_found_by_the_reduced_search_too(budget: Budget, product: Model) -> None:
    first = start(budget, vends=1)
    found = set[str]().union(*map(broken_promises, reduced(first, product)))
    assert found
    assert found == set[str]().union(*map(broken_promises, every_moment(first, product)))
