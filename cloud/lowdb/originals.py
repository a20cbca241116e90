"""Original files, archived: announced, stored encrypted, and read again."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from cloud import objects
from cloud.database import Database, Transaction
from cloud.encryption.columns import LEGACY_ARCHIVE_KEY
from cloud.encryption.keyring import Keyring
from cloud.lowdb import archive
from cloud.lowdb.folder import Folder, pieces_of
from cloud.object_store import ObjectStore, path_of


@dataclass(frozen=True)
class Archived:
    """Where a file lies, and its key, encrypted for the row of the file. None of both: it was empty."""

    object: str | None
    archive_key: str | None


class Originals:
    """The archive of a tenant's original files. `quota` is of all its files together, in bytes."""

    def __init__(self, database: Database, store: ObjectStore, keyring: Keyring, quota: int) -> None:
        self._database = database
        self._store = store
        self._keyring = keyring
        self._quota = quota

    async def archive(self, tenant_id: UUID, file_id: UUID, folder: Folder, path: str, size: int) -> Archived:
        """Store a file of the folder. The row that uses it comes later; if it does not, the object goes by itself.

        Raises Refused when the tenant then has too much, NotTaken, Unavailable.
        """
        if not size:
            return Archived(None, None)
        name, key = sha256(file_id.bytes).hexdigest(), archive.new_key()

        async def announce(transaction: Transaction) -> None:
            await objects.announce(transaction, tenant_id, [(name, size)], self._quota)

        await self._database.unit("lowdb.announce", announce, tenant_id=tenant_id)
        with folder.opened(path) as file:
            await self._store.receive(path_of(tenant_id, name), _sent(archive.packed(key, pieces_of(file))))
        sealed = LEGACY_ARCHIVE_KEY.seal(self._keyring, (tenant_id, file_id), key.hex())
        return Archived(name, sealed)

    async def read(self, tenant_id: UUID, file_id: UUID, archived: Archived) -> AsyncIterator[bytes]:
        """All of a file. Raises NoObject, Undecipherable, Unavailable."""
        if archived.object is None or archived.archive_key is None:
            return
        key = bytes.fromhex(LEGACY_ARCHIVE_KEY.open(self._keyring, (tenant_id, file_id), archived.archive_key))
        async with aclosing(self._store.read(path_of(tenant_id, archived.object))) as chunks:
            async for piece in archive.unpacked(key, chunks):
                yield piece


async def _sent(frames: Iterator[bytes]) -> AsyncIterator[bytes]:
    for frame in frames:
        yield frame
