"""R17 in the size that every test run can bear: a real file system, really full."""

import pytest

from tests.fakes.mounts import run_privately


@pytest.mark.criterion("2.2")
def test_r17_a_full_disk_stops_sales_and_nothing_else() -> None:
    said = run_privately("tests.lab.full_disk", "--in-private-mounts", "--points", "10", seconds=50)
    print(said)
    assert said.count("orders taken, then refused; sold again with room") == 10
    assert said.count(": held") == 2
