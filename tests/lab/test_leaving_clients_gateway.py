"""R12 at the gateway, in the size that every test run can bear."""

from pathlib import Path

from tests.lab import leaving_clients_gateway


async def test_r12_clients_that_leave_leave_nothing_behind(tmp_path: Path) -> None:
    report = await leaving_clients_gateway.run(clients=500, seed=12, folder=tmp_path)
    print(report)
    assert report.good
    assert report.placed > 100
