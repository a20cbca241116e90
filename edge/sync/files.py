"""Files of releases on their way down: each once for all devices, from where it was cut, believed by its SHA-256."""

import asyncio
from contextlib import aclosing

import structlog

from edge.releases.service import RELEASES_KEY, ReleaseService
from edge.shelf import FileDamaged, Shelf
from edge.sync.cloud_client import CloudAway, CloudClient
from edge.watch import Watch

log = structlog.get_logger()


class Files:
    """Fetches what releases miss, one file at a time."""

    def __init__(self, client: CloudClient, shelf: Shelf, releases: ReleaseService, watch: Watch) -> None:
        self._client = client
        self._shelf = shelf
        self._releases = releases
        self._watch = watch
        self._turn = 0

    async def fetch(self) -> bool:
        """Fetch one file; False when none was missing. After a failure it is the turn of another one.

        What came before a failure stays. Raises CloudAway (also when a file came damaged), CloudRefused, StorageFull.
        """
        missing = await self._releases.missing()
        if not missing:
            return False
        sha256, size = missing[self._turn % len(missing)]
        self._turn += 1
        await self._fetch(sha256, size)
        self._turn = 0
        self._watch.touch([RELEASES_KEY])
        return True

    async def _fetch(self, sha256: str, size: int) -> None:
        begun = at = await asyncio.to_thread(self._shelf.begin, sha256, size)
        if at < size:
            async with aclosing(self._client.file_from(sha256, at)) as chunks:
                async for chunk in chunks:
                    at += len(chunk)
                    if at > size:
                        break
                    await asyncio.to_thread(self._shelf.append, sha256, chunk)
        if at < size:
            raise CloudAway(f"file {sha256[:12]} ended at byte {at} of {size}")
        try:
            await asyncio.to_thread(self._shelf.finish, sha256)
        except FileDamaged as error:
            raise CloudAway(f"file {sha256[:12]} came damaged") from error
        log.info("file_fetched", sha256=sha256, bytes=size, begun_at=begun)
