"""R21 at the gateway, in the size that every test run can bear: each time is a cold start of the real program."""

from pathlib import Path

import pytest

from tests.lab import stop_gateway


@pytest.mark.lab
@pytest.mark.timeout(120)
async def test_r21_told_to_stop_in_the_middle_of_everything(tmp_path: Path) -> None:
    report = await stop_gateway.run(times=6, folder=tmp_path)
    print(report)
    assert report.good
