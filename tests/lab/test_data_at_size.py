"""Plans at a tenth of the size that they are promised for: the choice of an index does not wait for the last zero."""

from pathlib import Path

import pytest

from tests.lab import data_at_size


@pytest.mark.lab
@pytest.mark.timeout(600)
@pytest.mark.criterion("2.5")
@pytest.mark.criterion("6.1")
@pytest.mark.criterion("6.3")
async def test_no_statement_reads_a_big_table_whole(tmp_path: Path) -> None:
    report = await data_at_size.run(orders=100_000, machines=3_000, requests=100, folder=tmp_path)
    print(report)
    assert report.faults == []
    asked = {plan.sql for plans in report.plans.values() for plan in plans}
    assert set(data_at_size.PRUNED) <= asked
