"""Use cases of parcels: keep a file, say who may fetch it, offer it, and send its pieces."""

import asyncio
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

import structlog

from edge.database import Database, Transaction
from edge.links import UNSIGNED, Links
from edge.parcels import store
from edge.shelf import Shelf
from edge.watch import Watch
from shared.parcels import Ask, Offer, Piece
from shared.signed import Purpose
from shared.topics import Topic

PERMITS_KEY = "parcel_permits"
"""Touched when a device may fetch something else (watch.py)."""

log = structlog.get_logger()


class ParcelService:
    """What devices may fetch. A feature that has a file for one calls `put`, `permit` and then `offer`.

    Of each device one ask waits at most, the newest, and they are served in turn by `run`: whatever a device asks for,
    neither vends nor other devices wait for it.
    """

    def __init__(self, database: Database, links: Links, shelf: Shelf, watch: Watch) -> None:
        self._database = database
        self._links = links
        self._shelf = shelf
        self._watch = watch
        self._asked: OrderedDict[UUID, tuple[Topic, Ask]] = OrderedDict()
        self._came = asyncio.Event()

    async def put(self, data: bytes) -> str:
        """Keep a file until the permits for it end; the digest it goes by. Raises StorageFull."""
        return await asyncio.to_thread(self._shelf.put, data)

    def permit(self, tx: Transaction, device_id: UUID, purpose: Purpose, digests: Iterable[str]) -> None:
        """From now on the device may fetch these for this purpose, and what it might before no more.

        It outlives a restart, and so do the files: what nobody may fetch any more is removed.
        """
        store.set_permits(tx, device_id, purpose, digests)
        tx.touch(PERMITS_KEY)

    def may_fetch(self, tx: Transaction, device_id: UUID, digest: str) -> bool:
        """Whether the device may fetch this file."""
        return store.is_permitted(tx, device_id, digest)

    def offer(self, machine_id: UUID, device_id: UUID, purpose: Purpose, digest: str, size: int) -> bool:
        """Tell the device of a signed text of `size` bytes that it may fetch; false if it is not there."""
        nonce = self._links.nonce(device_id)
        if nonce is None:
            return False
        offer = Offer(purpose=purpose, digest=digest, size=size, nonce=nonce, mac=UNSIGNED)
        self._links.send(machine_id, device_id, offer)
        return True

    async def ask(self, topic: Topic, ask: Ask) -> None:
        """A device wants a piece: it gets it in its turn."""
        if ask.boot_id == self._links.of(topic).boot_id:
            self._asked[topic.device_id] = topic, ask
            self._came.set()

    async def run(self) -> None:
        """Send pieces, and remove what nobody may fetch, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve(), name="parcels: pieces")
            group.create_task(self._tidy(), name="parcels: tidy")

    async def _serve(self) -> None:
        while True:
            while self._asked:
                _, (topic, ask) = self._asked.popitem(last=False)
                try:
                    await self._send_piece(topic, ask)
                except OSError as error:
                    # The device asks again; meanwhile the disk may have come to itself.
                    log.error("parcel_unreadable", digest=ask.digest, error=repr(error))
            self._came.clear()
            await self._came.wait()

    async def _send_piece(self, topic: Topic, ask: Ask) -> None:
        device_id, data = topic.device_id, b""
        if await self._database.read(lambda tx: self.may_fetch(tx, device_id, ask.digest)):
            data = await asyncio.to_thread(self._shelf.read, ask.digest, ask.offset, ask.size)
        if not data:
            log.warning("parcel_not_here", device_id=str(device_id), digest=ask.digest, offset=ask.offset)
        piece = Piece(digest=ask.digest, offset=ask.offset, data=b64encode(data).decode(), mac=UNSIGNED)
        self._links.send(topic.machine_id, device_id, piece)

    async def _tidy(self) -> None:
        with self._watch.on(PERMITS_KEY) as changed:
            while True:
                changed.clear()
                try:
                    await self._remove_unneeded()
                except OSError as error:
                    log.error("parcels_not_tidied", error=repr(error))
                await changed.wait()

    async def _remove_unneeded(self) -> None:
        # In this order, for a file comes after its permit: what is permitted after the look was not there to be seen.
        found = await asyncio.to_thread(self._shelf.free_to_go)
        permitted = await self._database.read(store.permitted)
        for digest in found - permitted:
            await asyncio.to_thread(self._shelf.discard, digest)
        await asyncio.to_thread(self._shelf.unpin, permitted)
