"""The lab of the firmware in MicroPython's VM, in the size that `./dev test -m lab` can bear."""

from pathlib import Path

import pytest

from tests.lab import firmware_vm


@pytest.mark.lab
@pytest.mark.timeout(120)
@pytest.mark.criterion("8.2")
async def test_whatever_befalls_a_vend_its_motor_starts_once(tmp_path: Path) -> None:
    told = await firmware_vm.run(vends=10, seed=1, folder=tmp_path)
    print(told)
    assert told.good
    assert told.boots >= 1
