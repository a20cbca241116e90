"""Where files lie: a folder of this machine, or a bucket of anything that speaks S3.

A path is `TENANT/NAME`. Who may read or write one is decided before, by rows of Postgres (objects.py).
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from cloud.clock import new_id
from cloud.errors import SettingsError, Unavailable
from cloud.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Config

log = structlog.get_logger()

T = TypeVar("T")

CALL_SECONDS = 10.0
"""For anything but a stream whose sender takes its time."""
PART_BYTES = 5 * 1024 * 1024
"""The least that S3 takes for one part of many."""
_PARTS_AT_ONCE = 2
_CHUNKS_WAITING = 4
_READ_BYTES = 256 * 1024


class NoObject(Exception):
    """There is nothing at this path."""


@dataclass(frozen=True)
class Received:
    """What came: its SHA-256 in hex, and its size in bytes."""

    sha256: str
    size: int


class BrokenOff(Exception):
    """A stream ends here without having come to its end: nothing of it is kept."""


class ObjectStore:
    """Every method may raise Unavailable: the same may work in a moment."""

    def __init__(self, store: LocalStore | S3Store | MemoryStore) -> None:
        self._store = store

    async def receive(self, path: str, chunks: AsyncIterator[bytes]) -> Received:
        """Store what comes, about two parts of it in memory at a time.

        What `chunks` raises breaks it off, as does the end of the caller: then there is nothing at the path.
        """
        digest, size = hashlib.sha256(), 0
        pipe = _Pipe()
        storing = asyncio.create_task(self._store_all(path, pipe), name="object")
        storing.add_done_callback(lambda _: pipe.stop())
        try:
            async for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                await pipe.write(chunk)
            await pipe.end()
            async with asyncio.timeout(CALL_SECONDS):
                await storing
        except TimeoutError:
            raise Unavailable from None
        finally:
            await _break_off(pipe, storing)
        return Received(digest.hexdigest(), size)

    async def _store_all(self, path: str, pipe: "_Pipe") -> None:
        try:
            await obstore.put_async(
                self._store, path, pipe.read(), chunk_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
            )
        except (BaseError, OSError) as error:
            log.warning("object_store_unavailable", error=repr(error))
            raise Unavailable from error

    async def put(self, path: str, content: bytes) -> None:
        """Store it whole, in place of what is there."""
        await _called(obstore.put_async(self._store, path, content, use_multipart=False))

    async def get(self, path: str) -> bytes:
        """All of it. Raises NoObject."""
        return b"".join([chunk async for chunk in self.read(path)])

    async def read(self, path: str) -> AsyncGenerator[bytes, None]:
        """All of it, in pieces. Raises NoObject."""
        found = await _called(obstore.get_async(self._store, path))
        pieces = aiter(found.stream(min_chunk_size=_READ_BYTES))
        while (piece := await _called(anext(pieces, None))) is not None:
            yield bytes(piece)

    async def delete(self, paths: Sequence[str]) -> None:
        """Let them go; what is not there is gone already."""
        if isinstance(self._store, S3Store):
            await _called(obstore.delete_async(self._store, list(paths)))
            return
        for path in paths:  # of many at once a folder says not which was missing
            with suppress(NoObject):
                await _called(obstore.delete_async(self._store, path))

    async def prove(self) -> None:
        """Whether it can be written to and read from."""
        path = f"check/{new_id()}"
        await self.put(path, b"larder")
        if await self.get(path) != b"larder":
            raise Unavailable
        await self.delete([path])


def path_of(tenant_id: UUID, name: str) -> str:
    """Where a tenant's file lies."""
    return f"{tenant_id}/{name}"


def open_store(configured: Settings) -> ObjectStore:
    """The bucket that the settings name, else the folder `objects` of `state_dir`. Raises SettingsError."""
    if configured.s3_bucket is None:
        folder = configured.state_dir / "objects"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return ObjectStore(LocalStore(folder))
        except OSError as error:
            raise SettingsError(f"LARDER_CLOUD_STATE_DIR: {folder} cannot be made: {error.strerror}") from error
    secret = configured.s3_secret_access_key
    assert secret is not None  # noqa: S101  the settings hold together
    config: S3Config = {
        "region": configured.s3_region,
        "access_key_id": configured.s3_access_key_id or "",
        "secret_access_key": secret.get_secret_value(),
    }
    if configured.s3_endpoint is not None:
        config["endpoint"] = configured.s3_endpoint
    try:
        store = S3Store(
            configured.s3_bucket,
            config=config,
            client_options={
                "allow_http": (configured.s3_endpoint or "").startswith("http://"),
                "connect_timeout": timedelta(seconds=3),
                "timeout": timedelta(seconds=CALL_SECONDS),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=CALL_SECONDS)},
        )
    except BaseError as error:
        raise SettingsError(
            f"LARDER_CLOUD_S3_BUCKET or one of its companions is wrong: {type(error).__name__}"
        ) from None
    return ObjectStore(store)


class _Pipe:
    """Between who receives a stream and who stores it: a few chunks wait here, then the sender does."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_CHUNKS_WAITING)
        self._broken = False
        self._stopped = False

    async def write(self, chunk: bytes) -> None:
        """Raises Unavailable when nobody reads any more."""
        if not self._stopped:
            await self._queue.put(chunk)
        if self._stopped:
            raise Unavailable

    async def end(self) -> None:
        """All has come."""
        if not self._stopped:
            await self._queue.put(None)

    def break_off(self) -> None:
        """No more will come, and what came is worth nothing."""
        self._broken = True
        self._empty()
        self._queue.put_nowait(None)

    def stop(self) -> None:
        """Nobody reads any more."""
        self._stopped = True
        self._empty()

    def _empty(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()

    async def read(self) -> AsyncGenerator[bytes, None]:
        """What is written. Raises BrokenOff."""
        while (chunk := await self._queue.get()) is not None:
            yield chunk
        if self._broken:
            raise BrokenOff


async def _break_off(pipe: _Pipe, storing: asyncio.Task[None]) -> None:
    """If it has not ended, let it take back what it has stored."""
    if storing.done():
        if not storing.cancelled():
            storing.exception()  # who writes has been told
        return
    pipe.break_off()
    await asyncio.wait([storing], timeout=CALL_SECONDS)
    if not storing.done():
        storing.cancel()
        log.warning("object_left_half", what="the store does not answer")
        return
    with suppress(BrokenOff, Unavailable):
        storing.result()


async def _called(call: Awaitable[T]) -> T:
    """What the store answers, in time. Raises NoObject, Unavailable."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await call
    except FileNotFoundError as error:
        raise NoObject from error
    except (BaseError, OSError, TimeoutError) as error:
        log.warning("object_store_unavailable", error=repr(error))
        raise Unavailable from error
