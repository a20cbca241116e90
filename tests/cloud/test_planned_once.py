"""A connection keeps what it has planned: over months of partitions a plan takes longer than the answer."""

import asyncio
from collections.abc import Iterator

import pytest

from cloud.database import Database, Transaction
from cloud.failpoints import Failpoints

LATER_SECONDS = 3600.0
ASKED = "SELECT count(*) FROM orders"
_PREPARED = "SELECT prepare_time FROM pg_prepared_statements WHERE statement = $1"


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@pytest.fixture
def loop() -> Iterator[LeapingLoop]:
    leaping = LeapingLoop()
    yield leaping
    leaping.close()


def test_a_statement_in_use_is_not_planned_anew_as_time_goes_by(database_url: str, loop: LeapingLoop) -> None:
    async def work(transaction: Transaction) -> tuple[object, object]:
        async def planned() -> object:
            await transaction.fetch(ASKED)
            row = await transaction.fetch_one(_PREPARED, ASKED)
            return row and row["prepare_time"]

        first = await planned()
        loop.ahead += LATER_SECONDS
        await asyncio.sleep(0.01)  # whatever fell due by then is done
        return first, await planned()

    async def main() -> None:
        database = Database(database_url, Failpoints(), pool_size=1, unit_seconds=2 * LATER_SECONDS)
        await database.open()
        first, later = await database.unit("test", work)
        await database.close()
        assert first is not None
        assert later == first

    loop.run_until_complete(main())
