"""R19 in the size that every test run can bear."""

import pytest

from tests.lab import damaged_ledger
from tests.lab.damaged_ledger import Verdict

STRUCTURAL = {"truncate", "swap_pages", "empty", "remove"}


@pytest.mark.criterion("2.3")
def test_r19_damaged_ledgers_are_found_restored_and_sell_on() -> None:
    report = damaged_ledger.run(ledgers=20, seed=19)
    print(report)
    assert report.faults == []
    assert report.count(Verdict.REFUSED) == 0
    assert report.verdicts.total() == 20
    found = {verdict for (name, verdict) in report.verdicts if name in STRUCTURAL}
    assert found == {Verdict.RESTORED}
    assert {verdict for (name, verdict) in report.verdicts if name == "spoil_wal"} == {Verdict.CUT_SHORT}
