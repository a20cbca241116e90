"""When the ledger's backup is due, whatever was restarted or rebooted meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.backup import Backup
from edge.clock import new_id
from edge.database import Database
from edge.errors import StorageFull
from edge.failpoints import Failpoints
from edge.watch import Watch
from tests.fakes.site import SteppedClock

HOUR_S = 3600
SOON_S = HOUR_S / 100


class FullDisk(Database):
    async def back_up(self) -> None:
        raise StorageFull


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Database]:
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.mark.parametrize("ledger", [Database, FullDisk])
async def test_it_is_due_soon_as_long_as_there_is_none(tmp_path: Path, ledger: type[Database]) -> None:
    async with opened(ledger(tmp_path, Watch(), Failpoints())) as database:
        backup = Backup(database, SteppedClock(), HOUR_S)
        assert await backup.due_in() == SOON_S
        if ledger is FullDisk:
            with pytest.raises(StorageFull):
                await backup.make()
            assert await backup.due_in() == SOON_S


async def test_its_age_counts_across_restarts_and_is_unknown_after_a_reboot(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with opened(Database(tmp_path, Watch(), Failpoints())) as database:
        await Backup(database, clock, HOUR_S).make()
        clock.step(HOUR_S / 4)
        restarted = Backup(database, clock, HOUR_S)
        assert await restarted.due_in() == pytest.approx(HOUR_S * 3 / 4, abs=60)
        clock.step(HOUR_S)
        assert await restarted.due_in() == SOON_S
        await restarted.make()
        assert await restarted.due_in() > HOUR_S / 2
        clock.boot_id = new_id()
        assert await restarted.due_in() == SOON_S
