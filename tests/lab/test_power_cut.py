"""R3 in the size that every CI run can bear. It mounts file systems from files, which takes root."""

import re

import pytest

from tests.fakes.mounts import run_privately


@pytest.mark.lab
@pytest.mark.timeout(180)
def test_r3_power_cuts_lose_nothing_that_was_acknowledged() -> None:
    said = run_privately("tests.lab.power_cut", "--in-private-mounts", "--cuts", "50", seconds=170)
    print(said)
    found = re.match(r"synchronous=FULL, .*: (\d+) power cuts after (\d+) acknowledged .*: 0 lost .*, 0 ledgers", said)
    assert found is not None
    assert int(found[1]) == 50
    assert int(found[2]) > 100
