"""What a gateway does about a vend it has asked for, and what a device's report proves (DESIGN section 5).

These functions are what the product runs and what the model checker explores (tests/lab/vend_model.py): keep them pure.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from shared.devices import LASTING_REFUSALS, NONCE_LIFE_S, Evidence, VendAnswer, VendReport, VendResult, VendState
from shared.orders import VendOutcome

Number = tuple[int, int]
"""(epoch, seq) of a command to a device."""

CancelReason = Literal["deadline", "refused"]
"""Why the gateway itself has a seq burnt (shared.orders.VendCancelRequested)."""

LAPSE_S = NONCE_LIFE_S + 10
"""So long after the first publish that quoted a nonce, no copy that quotes it can start anything any more."""

ANSWER_WITHIN_S = 10
"""A device that has not answered by then is asked to burn the seq."""

STUCK_S = 60
"""A device that says for so long that it is at a vend will not report it: no motion takes that long."""

RESEND_S = 2
"""How often a command is repeated until it is answered."""


class Answer(Enum):
    """The last thing the device said of a vend that has no outcome."""

    NONE = "none"
    RUNNING = "running"
    """Accepted or started: its report will come."""
    DECLINED = "declined"
    """No repeat will be accepted. A copy that is still on its way might be, so the seq has to be burnt all the same."""
    LOST = "lost"
    """The device answers, but its journal does not know what became of the vend."""


@dataclass(frozen=True, slots=True)
class OpenVend:
    """A vend between G3 and its outcome, as the gateway knows it."""

    cancelling: bool
    published: bool
    """A dispense command may have left this gateway. After a restart that must be assumed."""
    answer: Answer
    drop_seen: bool
    """The device told of a drop while it ran; proof enough if no report ever comes."""


class Step(Enum):
    """What to do next."""

    WAIT = "wait"
    DISPENSE = "dispense"
    QUERY = "query"
    CANCEL = "cancel"
    BEGIN_CANCEL = "begin_cancel"
    """Commit the wish to cancel (G4), then cancel."""
    END_NOT_STARTED = "end_not_started"
    END_DISPENSED = "end_dispensed"
    END_AMBIGUOUS = "end_ambiguous"


ENDINGS = {
    Step.END_NOT_STARTED: VendOutcome.NOT_STARTED,
    Step.END_DISPENSED: VendOutcome.DISPENSED,
    Step.END_AMBIGUOUS: VendOutcome.AMBIGUOUS,
}
"""The steps that end a vend without a report, and the outcome each gives it."""


def next_step(vend: OpenVend, *, connected: bool, overdue: bool, lapsed: bool) -> Step:
    """The next step for an open vend.

    connected: the device is there and its nonce is known. overdue: ANSWER_WITHIN_S has passed since the request.
    lapsed: LAPSE_S has passed since the dispense first went out with its newest nonce and since the last word that the
    device is at it, or STUCK_S since the vend was taken up.
    """
    if not vend.published:
        if vend.cancelling or overdue:
            return Step.END_NOT_STARTED
        return Step.DISPENSE if connected else Step.WAIT
    if vend.answer is Answer.LOST or lapsed:
        return Step.END_DISPENSED if vend.drop_seen else Step.END_AMBIGUOUS
    if vend.cancelling:
        return Step.CANCEL if connected else Step.WAIT
    if vend.answer is Answer.DECLINED or (vend.answer is Answer.NONE and overdue):
        return Step.BEGIN_CANCEL
    if not connected:
        return Step.WAIT
    return Step.DISPENSE if vend.answer is Answer.NONE else Step.QUERY


def is_overdue(age_s: float, since_put_off_s: float, known_s: float) -> bool:
    """Whether a device has had its time to accept a vend: since the request, and since it last put it off for another.

    No other vend takes longer than LAPSE_S; `known_s` says for how long this process knows of the vend.
    """
    return min(age_s, since_put_off_s) >= ANSWER_WITHIN_S or known_s >= LAPSE_S


def heard(answer: VendAnswer, before: Answer) -> Answer:
    """What an answer on channel `state` adds to what was known.

    `unseen` and `refused` leave no trace on the device, so they take nothing back: the command is simply repeated,
    unless that is in vain.
    What is lost stays lost, however late a word of before is heard.
    """
    if before is Answer.LOST:
        return before
    if answer.state in (VendState.ACCEPTED, VendState.STARTED):
        return Answer.RUNNING
    if answer.state is VendState.FORGOTTEN:
        return Answer.LOST
    if before is Answer.NONE and answer.state is VendState.REFUSED and answer.reason in LASTING_REFUSALS:
        return Answer.DECLINED
    return before


def has_room(answers: Collection[Answer], at_once: int) -> bool:
    """Whether a device with these open vends, which takes `at_once` together at most, may be asked for one more.

    First it has said that it is at all that it was asked for: once it knows a later number, it takes no earlier one.
    """
    return len(answers) < at_once and all(answer is Answer.RUNNING for answer in answers)


def is_lost(number: Number, lost: Number, highest: Number) -> bool:
    """Whether a device that was asked for the vend of this number may have lost all it knew of it.

    lost: the highest number given out when a journal of the device was last found to be lost. highest: how far its
    journal of now goes; what it reaches it knows, and never starts again.
    """
    return highest < number <= lost


def judge(report: VendReport, *, drop_seen: bool) -> VendOutcome:
    """What a report proves. Any proof of a drop is a drop; only proof that nothing moved is `not_started`.

    drop_seen: the device told of a drop while it ran.
    """
    if drop_seen:
        return VendOutcome.DISPENSED
    if report.result is VendResult.CANCELLED:
        return VendOutcome.CANCELLED
    if report.result is VendResult.NOT_STARTED:
        return VendOutcome.NOT_STARTED
    if report.evidence is None:
        return VendOutcome.AMBIGUOUS
    if report.evidence.drop:
        return VendOutcome.DISPENSED
    if _stood_still(report.evidence):
        return VendOutcome.NOT_STARTED
    if report.result is VendResult.INTERRUPTED:
        return VendOutcome.AMBIGUOUS
    if report.evidence.drop is False:
        return VendOutcome.NO_DROP
    # No drop sensor: a full turn that came home again is the best proof there is.
    turned = report.evidence.left_home and report.evidence.home_after
    return VendOutcome.DISPENSED if turned else VendOutcome.AMBIGUOUS


def _stood_still(evidence: Evidence) -> bool:
    return evidence.left_home is False and evidence.home_before is True and evidence.home_after is True
