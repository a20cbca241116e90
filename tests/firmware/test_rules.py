"""The device's vend rules, walked at random: whatever comes in whatever order, a seq starts at most once."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from firmware.vending import recovery, rules
from firmware.vending.rules import Command, Evidence, Facts, Journal
from tests.fakes.device_settings import SLOT

ALL_WELL = Facts(nonce_fresh=True, slot_known=True, room=True, zone_locked=False, fits=True)
SEEN = Evidence(True, True, True, True, 1500)


def command(kind: str, seq: int, epoch: int = 1, vend_id: str | None = None, slot: str = "A1") -> Command:
    return Command(kind, epoch, seq, vend_id or f"vend-{epoch}-{seq}", slot, "nonce", None, None, "mac")


def after(journal: Journal, *records: tuple[object, ...]) -> Journal:
    for record in records:
        journal = rules.apply(journal, record)
    return journal


def accepted(seq: int = 1) -> Journal:
    decision = rules.decide(rules.EMPTY, command("dispense", seq), ALL_WELL)
    assert decision.start
    return after(rules.EMPTY, *decision.records)


def started(seq: int = 1) -> Journal:
    journal = accepted(seq)
    return after(journal, *rules.begin(journal, 1, seq, True))


def ended(seq: int = 1) -> Journal:
    journal = started(seq)
    return after(journal, *rules.end(journal, 1, seq, SEEN))


@pytest.mark.parametrize("kind", ["dispense", "cancel", "query"])
def test_an_ended_vend_is_reported_again(kind: str) -> None:
    decision = rules.decide(ended(), command(kind, 1), ALL_WELL)
    assert decision.records == ()
    assert not decision.start
    assert (decision.answer.state, decision.answer.result, decision.answer.evidence) == ("ended", "done", SEEN)


@pytest.mark.parametrize("kind", ["dispense", "query"])
@pytest.mark.parametrize(("journal", "state"), [(accepted(), "accepted"), (started(), "started")])
def test_an_open_vend_is_told_again_and_never_started_again(kind: str, journal: Journal, state: str) -> None:
    decision = rules.decide(journal, command(kind, 1), ALL_WELL)
    assert (decision.records, decision.answer.state, decision.start) == ((), state, False)


@pytest.mark.parametrize(
    ("journal", "facts", "reason"),
    [
        (rules.EMPTY, Facts(False, True, True, True, False), "stale_nonce"),
        (rules.EMPTY, Facts(True, False, True, False, False), "unknown_slot"),
        (rules.EMPTY, Facts(True, True, True, True, False), "zone_locked"),
        (started(1), ALL_WELL._replace(fits=False), "busy"),
        (accepted(1), ALL_WELL._replace(fits=False), "busy"),
        (rules.EMPTY, Facts(True, True, False, False, True), "journal_full"),
    ],
)
def test_a_refusal_says_why_and_leaves_no_trace(journal: Journal, facts: Facts, reason: str) -> None:
    decision = rules.decide(journal, command("dispense", 2), facts)
    assert decision.records == ()
    assert not decision.start
    assert (decision.answer.state, decision.answer.reason) == ("refused", reason)
    assert rules.decide(journal, command("query", 2), ALL_WELL).answer.state == "unseen"


def test_eight_unacknowledged_vends_are_enough() -> None:
    journal = rules.EMPTY
    for seq in range(1, 9):
        journal = after(journal, ("X", 1, seq, f"vend-1-{seq}", "cancelled"))
    assert rules.decide(journal, command("dispense", 9), ALL_WELL).answer.reason == "journal_full"
    for seq in range(9, 17):
        journal = after(journal, *rules.decide(journal, command("cancel", seq), ALL_WELL).records)
    assert len(journal.vends) == 16
    assert rules.decide(journal, command("cancel", 17), ALL_WELL).answer.reason == "journal_full"


@pytest.mark.parametrize("seq", [1, 5])
@pytest.mark.parametrize("kind", ["dispense", "cancel", "query"])
def test_what_is_acknowledged_is_forgotten_but_never_starts(kind: str, seq: int) -> None:
    journal = ended(5)
    journal = after(journal, *rules.decide(journal, command("acknowledge", 5), ALL_WELL).records)
    assert journal == Journal((1, 5), (), ())
    decision = rules.decide(journal, command(kind, seq), ALL_WELL)
    assert (decision.records, decision.answer.state, decision.start) == ((), "forgotten", False)


def test_an_acknowledgement_forgets_only_what_has_ended_under_its_own_vend_id() -> None:
    assert rules.decide(started(), command("acknowledge", 1), ALL_WELL) == rules.NOTHING
    assert rules.decide(ended(), command("acknowledge", 1, vend_id="another"), ALL_WELL) == rules.NOTHING


def test_a_higher_epoch_opens_low_seqs_again_and_closes_the_old_epoch() -> None:
    journal = ended(5)
    assert rules.decide(journal, command("dispense", 1, epoch=2), ALL_WELL).start
    journal = after(journal, ("X", 2, 1, "vend-2-1", "cancelled"))
    assert rules.decide(journal, command("dispense", 6, epoch=1), ALL_WELL).answer.state == "forgotten"


def test_cancel_before_dispense_burns_the_seq() -> None:
    decision = rules.decide(rules.EMPTY, command("cancel", 3), ALL_WELL)
    assert (decision.answer.result, decision.answer.slot) == ("cancelled", None)
    late = rules.decide(after(rules.EMPTY, *decision.records), command("dispense", 3), ALL_WELL)
    assert (late.start, late.answer.result) == (False, "cancelled")


def test_cancel_between_accepted_and_started_wins_and_keeps_the_slot() -> None:
    journal = accepted()
    decision = rules.decide(journal, command("cancel", 1), ALL_WELL)
    assert (decision.answer.result, decision.answer.slot, decision.answer.evidence) == ("cancelled", "A1", None)
    assert rules.begin(after(journal, *decision.records), 1, 1, True) == ()


def test_cancel_comes_too_late_for_a_started_motor() -> None:
    decision = rules.decide(started(), command("cancel", 1), ALL_WELL)
    assert (decision.records, decision.answer.state) == ((), "started")


def test_a_seq_taken_by_another_vend_is_forgotten_for_this_one() -> None:
    for kind in ("dispense", "cancel", "query"):
        decision = rules.decide(started(), command(kind, 1, vend_id="another"), ALL_WELL)
        assert (decision.records, decision.answer.state, decision.start) == ((), "forgotten", False)


def test_boot_buries_what_was_accepted() -> None:
    journal = after(accepted(), *recovery.recover(accepted(), {"A1": True}))
    assert [(vend.result, vend.evidence) for vend in journal.vends] == [("not_started", None)]


@pytest.mark.parametrize(
    ("seen", "home_now", "evidence"),
    [
        ((), True, Evidence(None, False, True, True, None)),
        ((("L", 1, 1),), False, Evidence(None, True, True, False, None)),
        ((("L", 1, 1), ("P", 1, 1)), True, Evidence(True, True, True, True, None)),
    ],
)
def test_boot_reports_an_interrupted_motion_with_what_was_journalled(
    seen: tuple[tuple[object, ...], ...], home_now: bool, evidence: Evidence
) -> None:
    journal = after(started(), *seen)
    journal = after(journal, *recovery.recover(journal, {"A1": home_now}))
    assert [(vend.result, vend.evidence) for vend in journal.vends] == [("interrupted", evidence)]


def test_a_nonce_lives_for_twenty_seconds_and_one_renewal() -> None:
    nonces = rules.renew_nonce((), "first", 0)
    nonces = rules.renew_nonce(nonces, "second", 10_000)
    assert rules.nonce_is_fresh(nonces, "first", 20_000)
    assert not rules.nonce_is_fresh(nonces, "first", 20_001)
    assert rules.nonce_is_fresh(nonces, "second", 20_001)
    assert not rules.nonce_is_fresh(rules.renew_nonce(nonces, "third", 20_000), "first", 20_000)
    assert not rules.nonce_is_fresh((), None, 0)


POWER_MA = 1_000
SLOTS = {
    code: SLOT._replace(draw_ma=draw_ma, chute=chute)
    for code, draw_ma, chute in (
        ("A1", 500, "left"),
        ("A2", 400, "left"),
        ("B1", 500, "right"),
        ("C1", 501, None),
        ("C2", 300, "rear"),
        ("C3", None, "front"),
    )
}


@pytest.mark.criterion("8.2")
@pytest.mark.parametrize(
    ("turning", "slot", "power_ma", "fits"),
    [
        ((), "C3", POWER_MA, True),
        ((), "A1", None, True),
        (("A1",), "B1", POWER_MA, True),
        (("A1",), "B1", None, False),
        (("A1",), "B1", 999, False),
        (("A1",), "A2", POWER_MA, False),
        (("A1",), "C1", POWER_MA, False),
        (("A1",), "C3", POWER_MA, False),
        (("C3",), "A1", POWER_MA, False),
        (("A1", "B1"), "C2", POWER_MA, False),
        (("A1", "B1"), "C2", 1_300, True),
        (("A1", "B1", "C2", "C1"), "C3", 10_000, False),
    ],
)
def test_a_motor_turns_beside_others_within_the_power_budget_and_through_a_chute_of_its_own(
    turning: tuple[str, ...], slot: str, power_ma: int | None, fits: bool
) -> None:
    journal = ended(1)
    for seq, code in enumerate(turning, 2):
        journal = after(journal, ("A", 1, seq, f"vend-{seq}", code))
        journal = after(journal, *(rules.begin(journal, 1, seq, True) if seq % 2 else ()))
    assert rules.fits(journal, slot, SLOTS, power_ma) == fits


def test_never_more_than_four_motors_turn_together() -> None:
    slots = {f"A{number}": SLOT._replace(draw_ma=1, chute=str(number)) for number in range(1, 6)}
    journal = rules.EMPTY
    for seq in range(1, 5):
        assert rules.fits(journal, f"A{seq}", slots, POWER_MA)
        journal = after(journal, ("A", 1, seq, f"vend-{seq}", f"A{seq}"))
    assert not rules.fits(journal, "A5", slots, POWER_MA)


class AnyOrder(RuleBasedStateMachine):
    """Commands in any order and number, motors side by side, crashes between any two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = rules.EMPTY
        self.starts: Counter[tuple[int, int]] = Counter()
        self.highest = (0, 0)

    @rule(
        kind=st.sampled_from(["dispense", "cancel", "query", "acknowledge"]),
        epoch=st.integers(1, 2),
        seq=st.integers(1, 12),
        slot=st.sampled_from(sorted(SLOTS)),
        well=st.lists(st.booleans(), min_size=4, max_size=4),
    )
    def receive(self, kind: str, epoch: int, seq: int, slot: str, well: list[bool]) -> None:
        fits = rules.fits(self.journal, slot, SLOTS, POWER_MA)
        facts = Facts(well[0], well[1], well[2], well[3], fits)
        decision = rules.decide(self.journal, command(kind, seq, epoch, slot=slot), facts)
        assert not decision.start or facts == ALL_WELL
        self.journal = after(self.journal, *decision.records)
        if kind != "acknowledge":
            told = decision.answer
            assert (told.epoch, told.seq, told.vend_id) == (epoch, seq, f"vend-{epoch}-{seq}")

    @rule(home=st.sampled_from([True, False, None]))
    def start(self, home: bool | None) -> None:
        vend = rules.waiting(self.journal)
        if vend is None:
            return
        for record in rules.begin(self.journal, vend.epoch, vend.seq, home):
            self.starts[vend.epoch, vend.seq] += 1
            self.journal = after(self.journal, record)

    @rule(kind=st.sampled_from(["L", "P", "D"]), place=st.integers(0, 3))
    def move(self, kind: str, place: int) -> None:
        turning = [vend for vend in self.journal.vends if vend.state == rules.STARTED]
        for vend in turning[place : place + 1]:
            records = rules.end(self.journal, vend.epoch, vend.seq, SEEN)
            self.journal = after(self.journal, *(records if kind == "D" else [(kind, vend.epoch, vend.seq)]))

    @rule(homes=st.dictionaries(st.sampled_from(sorted(SLOTS)), st.booleans()))
    def crash_and_boot(self, homes: dict[str, bool]) -> None:
        self.journal = after(rules.EMPTY, *rules.snapshot(self.journal))
        self.journal = after(self.journal, *recovery.recover(self.journal, homes))
        assert rules.running(self.journal) is None

    @invariant()
    def starts_at_most_once(self) -> None:
        assert all(count == 1 for count in self.starts.values())

    @invariant()
    def never_forgets_the_highest(self) -> None:
        assert self.journal.highest >= self.highest
        self.highest = self.journal.highest

    @invariant()
    def a_compacted_journal_says_the_same(self) -> None:
        assert after(rules.EMPTY, *rules.snapshot(self.journal)) == self.journal

    @invariant()
    def stays_small_and_hashable(self) -> None:
        assert len(self.journal.vends) <= rules.MAX_RECORDED
        hash(self.journal)

    @invariant()
    def stays_within_the_budget(self) -> None:
        turning = [SLOTS[vend.slot] for vend in self.journal.vends if vend.state != rules.ENDED]
        if len(turning) > 1:
            assert sum(slot.draw_ma for slot in turning) <= POWER_MA
            assert len({slot.chute for slot in turning}) == len(turning)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@given(st.lists(st.integers(1, 10**8), max_size=6), st.sets(st.integers(0, 5)))
def test_credits_are_kept_until_acknowledged(amounts: list[int], acknowledged: set[int]) -> None:
    journal = after(rules.EMPTY, *(("C", f"credit-{place}", amount) for place, amount in enumerate(amounts)))
    for place in acknowledged:
        told = Command("acknowledge_credit", None, None, None, None, None, f"credit-{place}", None, "mac")
        journal = after(journal, *rules.decide(journal, told, ALL_WELL).records)
    expected = tuple((f"credit-{place}", amount) for place, amount in enumerate(amounts) if place not in acknowledged)
    assert journal.credits == expected
