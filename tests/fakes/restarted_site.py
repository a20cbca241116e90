"""A gateway that dies and comes back over the same ledger, as its device and its customers see it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fakes.site import Site


async def stop(site: Site) -> None:
    """End the gateway's tasks as a crash would, the ledger kept open."""
    for task in asyncio.all_tasks():
        if task.get_name() == "site":
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    site.disconnect()


@asynccontextmanager
async def restarted(site: Site) -> AsyncIterator[Site]:
    """Another gateway process over the same ledger, its device not yet there."""
    again = Site(site.database, site.watch, site.clock)
    again.adopt(site.device)
    task = asyncio.create_task(again.run(), name="again")
    try:
        yield again
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
