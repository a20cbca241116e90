"""Every case of the vend's rules: they are few enough to be looked at one by one."""

from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dispensing.rules import ENDINGS, Answer, OpenVend, Step, heard, is_lost, judge, next_step
from shared.devices import Evidence, Refusal, VendAnswer, VendReport, VendResult, VendState
from shared.orders import VendOutcome

BOOT_ID, VEND_ID = UUID(int=1), UUID(int=2)
YES_NO = (False, True)
CASES = [
    (OpenVend(cancelling, published, answer, drop_seen), connected, overdue, lapsed)
    for cancelling, published, answer, drop_seen, connected, overdue, lapsed in product(
        YES_NO, YES_NO, Answer, YES_NO, YES_NO, YES_NO, YES_NO
    )
]
SENT = {Step.DISPENSE, Step.QUERY, Step.CANCEL}

maybe = st.none() | st.booleans()
evidences = st.builds(
    Evidence,
    drop=maybe,
    left_home=maybe,
    home_before=maybe,
    home_after=maybe,
    motor_ms=st.none() | st.integers(0, 600_000),
)


def report(result: VendResult, evidence: Evidence | None) -> VendReport:
    return VendReport(boot_id=BOOT_ID, epoch=1, seq=1, vend_id=VEND_ID, slot="A1", result=result, evidence=evidence)


def answer(state: VendState, reason: Refusal | None = None) -> VendAnswer:
    return VendAnswer(boot_id=BOOT_ID, epoch=1, seq=1, vend_id=VEND_ID, state=state, reason=reason, nonce="0" * 16)


@pytest.mark.parametrize(("vend", "connected", "overdue", "lapsed"), CASES)
def test_a_step_is_only_taken_for_a_reason(vend: OpenVend, connected: bool, overdue: bool, lapsed: bool) -> None:
    step = next_step(vend, connected=connected, overdue=overdue, lapsed=lapsed)
    nothing_can_start = lapsed or vend.answer is Answer.LOST
    assert step not in SENT or connected
    if step is Step.DISPENSE:
        assert not vend.cancelling
        assert not overdue
        assert not vend.published or (vend.answer is Answer.NONE and not lapsed)
    if step is Step.CANCEL:
        assert vend.cancelling
        assert vend.published
    if step is Step.BEGIN_CANCEL:
        assert overdue or vend.answer is Answer.DECLINED
        assert not vend.cancelling
        assert vend.answer in (Answer.NONE, Answer.DECLINED)
    if step is Step.QUERY:
        assert vend.answer is Answer.RUNNING
    if step is Step.END_NOT_STARTED:
        assert not vend.published
    if step in (Step.END_DISPENSED, Step.END_AMBIGUOUS):
        assert vend.published
        assert nothing_can_start
        assert (step is Step.END_DISPENSED) == vend.drop_seen


@pytest.mark.parametrize(("vend", "connected", "overdue", "lapsed"), CASES)
def test_no_vend_stays_open_for_ever(vend: OpenVend, connected: bool, overdue: bool, lapsed: bool) -> None:
    step = next_step(vend, connected=connected, overdue=overdue, lapsed=lapsed)
    if vend.published and (lapsed or vend.answer is Answer.LOST):
        assert step in ENDINGS
    if not vend.published and (vend.cancelling or overdue):
        assert step is Step.END_NOT_STARTED
    if step is Step.WAIT:
        assert not connected, "only an absent device is waited for, and then LAPSE_S or ANSWER_WITHIN_S ends it"


@pytest.mark.parametrize(
    ("vend", "now", "step"),
    [
        (OpenVend(False, False, Answer.NONE, False), "connected", Step.DISPENSE),
        (OpenVend(False, False, Answer.NONE, False), "", Step.WAIT),
        (OpenVend(False, True, Answer.NONE, False), "connected", Step.DISPENSE),
        (OpenVend(False, True, Answer.NONE, False), "connected overdue", Step.BEGIN_CANCEL),
        (OpenVend(False, True, Answer.NONE, False), "overdue", Step.BEGIN_CANCEL),
        (OpenVend(False, True, Answer.DECLINED, False), "connected", Step.BEGIN_CANCEL),
        (OpenVend(False, True, Answer.DECLINED, False), "", Step.BEGIN_CANCEL),
        (OpenVend(True, True, Answer.DECLINED, False), "connected", Step.CANCEL),
        (OpenVend(True, True, Answer.DECLINED, False), "overdue lapsed", Step.END_AMBIGUOUS),
        (OpenVend(False, True, Answer.RUNNING, False), "connected overdue", Step.QUERY),
        (OpenVend(False, True, Answer.RUNNING, False), "overdue", Step.WAIT),
        (OpenVend(True, True, Answer.RUNNING, False), "connected overdue", Step.CANCEL),
        (OpenVend(True, True, Answer.NONE, False), "overdue", Step.WAIT),
        (OpenVend(True, True, Answer.NONE, False), "overdue lapsed", Step.END_AMBIGUOUS),
        (OpenVend(True, True, Answer.NONE, True), "overdue lapsed", Step.END_DISPENSED),
        (OpenVend(False, True, Answer.LOST, False), "connected", Step.END_AMBIGUOUS),
        (OpenVend(True, False, Answer.NONE, False), "connected", Step.END_NOT_STARTED),
    ],
)
def test_the_story_of_a_vend(vend: OpenVend, now: str, step: Step) -> None:
    told = {name: name in now.split() for name in ("connected", "overdue", "lapsed")}
    assert next_step(vend, **told) is step


@pytest.mark.parametrize("before", Answer)
def test_what_an_answer_adds(before: Answer) -> None:
    running = Answer.LOST if before is Answer.LOST else Answer.RUNNING
    assert heard(answer(VendState.ACCEPTED), before) is running
    assert heard(answer(VendState.STARTED), before) is running
    assert heard(answer(VendState.FORGOTTEN), before) is Answer.LOST
    assert heard(answer(VendState.UNSEEN), before) is before
    for reason in Refusal:
        is_final = reason in (Refusal.ZONE_LOCKED, Refusal.UNKNOWN_SLOT) and before is Answer.NONE
        assert heard(answer(VendState.REFUSED, reason), before) is (Answer.DECLINED if is_final else before)


numbers = st.tuples(st.integers(0, 3), st.integers(0, 5))


@given(numbers, numbers, numbers)
def test_a_vend_is_lost_if_asked_for_before_the_loss_and_unknown_after_it(
    number: tuple[int, int], lost: tuple[int, int], highest: tuple[int, int]
) -> None:
    asked_for_before, known_after = number <= lost, number <= highest
    assert is_lost(number, lost, highest) == (asked_for_before and not known_after)


def test_the_epoch_counts_before_the_seq() -> None:
    assert is_lost((1, 99), lost=(2, 0), highest=(1, 98))
    assert not is_lost((2, 1), lost=(1, 99), highest=(0, 0))


@given(st.sampled_from(VendResult), st.none() | evidences)
def test_a_drop_that_was_seen_is_a_drop(result: VendResult, evidence: Evidence | None) -> None:
    assert judge(report(result, evidence), drop_seen=True) is VendOutcome.DISPENSED


@given(st.sampled_from([VendResult.DONE, VendResult.INTERRUPTED]), evidences)
def test_what_evidence_proves(result: VendResult, evidence: Evidence) -> None:
    outcome = judge(report(result, evidence), drop_seen=False)
    still = evidence.left_home is False and evidence.home_before is True and evidence.home_after is True
    if evidence.drop:
        assert outcome is VendOutcome.DISPENSED
    elif still:
        assert outcome is VendOutcome.NOT_STARTED
    elif result is VendResult.INTERRUPTED:
        assert outcome is VendOutcome.AMBIGUOUS
    elif evidence.drop is False:
        assert outcome is VendOutcome.NO_DROP
    else:
        turned = bool(evidence.left_home and evidence.home_after)
        assert outcome is (VendOutcome.DISPENSED if turned else VendOutcome.AMBIGUOUS)


@given(st.sampled_from(VendResult), st.none() | evidences)
def test_nothing_is_charged_without_proof(result: VendResult, evidence: Evidence | None) -> None:
    if judge(report(result, evidence), drop_seen=False) is VendOutcome.DISPENSED:
        assert evidence is not None
        assert evidence.drop or (result is VendResult.DONE and evidence.left_home and evidence.home_after)


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (VendResult.CANCELLED, VendOutcome.CANCELLED),
        (VendResult.NOT_STARTED, VendOutcome.NOT_STARTED),
        (VendResult.DONE, VendOutcome.AMBIGUOUS),
        (VendResult.INTERRUPTED, VendOutcome.AMBIGUOUS),
    ],
)
def test_a_report_without_evidence(result: VendResult, outcome: VendOutcome) -> None:
    assert judge(report(result, None), drop_seen=False) is outcome
