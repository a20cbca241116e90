"""A new machine on real programs, and forged claims, in the size that `./dev test -m lab` can bear."""

from pathlib import Path

import pytest

from tests.lab import claims, onboarding

pytestmark = pytest.mark.lab


@pytest.mark.timeout(180)
@pytest.mark.criterion("9.1")
@pytest.mark.criterion("9.3")
@pytest.mark.criterion("9.4")
async def test_a_machine_goes_into_service_by_its_setup_and_its_sheet(tmp_path: Path) -> None:
    told = await onboarding.run(tmp_path)
    print(told)
    assert told.good


@pytest.mark.timeout(180)
@pytest.mark.criterion("8.1")
async def test_a_stick_is_enough_to_sell_and_the_cloud_catches_up(tmp_path: Path) -> None:
    told = await onboarding.run(tmp_path, offline=True)
    print(told)
    assert told.good


@pytest.mark.timeout(180)
@pytest.mark.criterion("9.3")
async def test_no_forged_claim_is_accepted(tmp_path: Path) -> None:
    told = await claims.run(attempts=300, seed=1, folder=tmp_path)
    print(told)
    assert told.good
    assert told.attempts.total() == 300
