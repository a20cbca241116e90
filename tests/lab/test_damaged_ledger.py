"""R19 in the size that every test run can bear."""

from tests.lab import damaged_ledger
from tests.lab.damaged_ledger import Verdict

REPAIRABLE = {Verdict.RESTORED, Verdict.HARMLESS}
"""A page that the -wal holds anew may be missing from the file without harm."""


def test_r19_damaged_ledgers_are_found_restored_and_sell_on() -> None:
    report = damaged_ledger.run(ledgers=20, seed=19)
    print(report)
    assert report.faults == []
    assert report.count(Verdict.REFUSED) == 0
    assert report.verdicts.total() == 20
    found: dict[str, set[Verdict]] = {}
    for name, verdict in report.verdicts:
        found.setdefault(name, set()).add(verdict)
    assert found["empty"] == found["remove"] == {Verdict.RESTORED}
    assert found["spoil_wal"] == {Verdict.CUT_SHORT}
    assert found["truncate"] | found["swap_pages"] <= REPAIRABLE
    assert report.count(Verdict.RESTORED) >= 8
