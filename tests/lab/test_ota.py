"""The lab of releases in the size that `./dev test -m lab` can bear."""

from pathlib import Path

import pytest

from tests.lab import ota


@pytest.mark.lab
@pytest.mark.timeout(120)
@pytest.mark.criterion("8.5")
async def test_no_forged_release_is_taken_and_no_power_cut_leaves_a_board_without_a_program(tmp_path: Path) -> None:
    told = await ota.run(forged=100, cuts=10, seed=1, folder=tmp_path)
    print(told)
    assert told.good
    assert told.forged.total() == 100
    assert told.cuts.total() == 10
