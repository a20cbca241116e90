"""R6 in the size that every test run can bear."""

from pathlib import Path

from tests.lab import sync_faults


async def test_r6_both_ledgers_are_equal_after_a_bad_line(tmp_path: Path) -> None:
    report = await sync_faults.run(facts=5_000, seed=6, folder=tmp_path)
    print(report)
    assert report.good
    assert report.written == 5_000
