"""The judge of the crash labs sees each thing that may be wrong, and nothing in what is right."""

from collections import Counter
from dataclasses import replace

import pytest

from firmware.simulator.failpoints import NAMES
from firmware.simulator.world import Witness
from tests.lab.crash_oracle import Ledger, OrderSeen, VendSeen, Verdict, judge, report
from tests.lab.crash_points import LANES

MACHINE = "cash machine"
PRICE = 2000


def order(outcome: str | None, state: str = "settled", name: str = "order") -> OrderSeen:
    vend = VendSeen(f"{name}'s vend", "A1", outcome, PRICE)
    given_back = 0 if outcome in ("dispensed", None) or state != "settled" else PRICE
    return OrderSeen(name, MACHINE, "cash", state, PRICE, given_back, (vend,))


def world(starts: int = 1, drops: int = 1, left: int = 9, coins: int = PRICE) -> Witness:
    return Witness(
        motor_starts=Counter({"order's vend": starts}),
        drops=Counter({"order's vend": drops}),
        coins_minor=coins,
        stock={"A1": left},
    )


def judged(seen: OrderSeen, witness: Witness, credit: int = 0, on_hand: int = 9, swallowed: int = 0) -> Verdict:
    ledger = Ledger({seen.order_id: seen}, {MACHINE: credit}, {(MACHINE, "A1"): on_hand})
    return judge({"order"}, ledger, {MACHINE: witness}, {MACHINE: swallowed})


RIGHT = {
    "vended and paid": judged(order("dispensed"), world()),
    "nothing moved, given back": judged(order("not_started"), world(0, 0, 10), credit=PRICE, on_hand=10),
    "never paid": judged(order("cancelled", "expired"), world(0, 0, 10, coins=0), on_hand=10),
    "ambiguous, and it dropped": judged(order("ambiguous"), world(), credit=PRICE, on_hand=10),
    "ambiguous, the drop known later": judged(order("ambiguous"), world(), credit=PRICE),
    "a coin without power": judged(order("dispensed"), world(coins=PRICE + 500), swallowed=500),
}
WRONG = {
    "lost": (judged(order("dispensed", name="another"), world(0, 1)), "lost"),
    "two starts": (judged(order("dispensed"), world(starts=2)), "doubled"),
    "two starts, given back": (judged(order("no_drop"), world(2, 0, 10), PRICE, 10), "doubled"),
    "charged for nothing": (judged(order("dispensed"), world(1, 0)), "unvended"),
    "still open": (judged(order(None, "dispensing"), world()), "unresolved"),
    "settled without an outcome": (judged(order(None), world()), "unresolved"),
    "money kept": (judged(replace(order("no_drop"), given_back_minor=0), world(1, 0, 9)), "faults"),
    "credit not given back": (judged(order("no_drop"), world(1, 0, 9)), "faults"),
    "coin lost": (judged(order("dispensed"), world(coins=PRICE + 500)), "faults"),
    "money made": (judged(order("dispensed"), world(), credit=1), "faults"),
    "given back unpaid": (judged(replace(order("cancelled", "expired"), given_back_minor=1), world(0, 0, 9)), "faults"),
    "a drop not booked": (judged(order("dispensed"), world(), on_hand=10), "faults"),
    "a drop booked twice": (judged(order("dispensed"), world(), on_hand=8), "faults"),
    "a known end hides a drop": (judged(order("not_started"), world(), credit=PRICE, on_hand=10), "faults"),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_is_let_be(case: str) -> None:
    assert RIGHT[case].held, report(RIGHT[case])


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_seen(case: str) -> None:
    verdict, kind = WRONG[case]
    assert not verdict.held
    assert getattr(verdict, kind)
    assert "FAIL" in report(verdict)


def test_what_nobody_can_know_is_counted() -> None:
    verdict = RIGHT["ambiguous, and it dropped"]
    assert (verdict.ambiguous, verdict.presents) == ({"order's vend"}, {"order's vend"})


def test_the_table_is_as_long_as_promised() -> None:
    points = [point for lane in LANES.values() for point in lane]
    named = {
        component: {one.name for one in points if one.component == component} for component in ("gateway", "cloud")
    }
    devices = {point.name for point in points if point.component == "device"}
    assert len(named["gateway"]) >= 24
    assert len(named["cloud"]) >= 6
    assert len(devices) >= 10
    assert devices <= set(NAMES)
