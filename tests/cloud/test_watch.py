"""The one connection that listens, and what becomes of those who wait when it is lost."""

import asyncio

from structlog.testing import capture_logs

from cloud.clock import new_id
from cloud.watch import Watch
from tests.cloud.conftest import Server


async def test_after_each_loss_it_is_soon_back_and_wakes_everybody(server: Server, database_url: str) -> None:
    """Each time anew: once it has listened, earlier failures count no more."""
    watch = Watch(database_url)
    watching = asyncio.create_task(watch.run(), name="watch")
    with watch.on("orders", new_id()) as woken, capture_logs() as said:
        for _ in range(4):
            async with asyncio.timeout(10):
                await woken.wait()
            woken.clear()
            await server.administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        async with asyncio.timeout(10):
            await woken.wait()
    watching.cancel()
    assert [line["again_in_s"] for line in said if line["event"] == "watch_lost"] == [0.2] * 4
