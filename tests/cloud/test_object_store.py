"""Files in a folder and in a bucket: a stream is stored whole or not at all."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from cloud.errors import Unavailable
from cloud.object_store import NoObject, ObjectStore, open_store
from cloud.settings import Settings
from tests.fakes.s3 import REGION, FakeS3, running_s3

MIB = 1024 * 1024


class Broken(Exception):
    """What a sender's end looks like."""


async def stream(pieces: int, *, breaks: bool = False) -> AsyncGenerator[bytes, None]:
    for number in range(pieces):
        yield bytes([number]) * MIB
    if breaks:
        raise Broken


def whole(pieces: int) -> bytes:
    return b"".join(bytes([number]) * MIB for number in range(pieces))


def in_folder(tmp_path: Path) -> ObjectStore:
    return open_store(Settings(state_dir=tmp_path))


def in_bucket(s3: FakeS3, **more: str) -> ObjectStore:
    told = {"s3_bucket": s3.bucket, "s3_endpoint": s3.url, "s3_region": REGION, "s3_access_key_id": s3.key_id}
    return open_store(Settings.model_validate(told | {"s3_secret_access_key": s3.secret} | more))


@pytest.fixture
async def s3() -> AsyncIterator[FakeS3]:
    async with running_s3() as fake:
        yield fake


async def use(store: ObjectStore) -> None:
    """What every store can do."""
    received = await store.receive("t/incoming/a", stream(12))
    assert received.size == 12 * MIB
    assert received.sha256 == hashlib.sha256(whole(12)).hexdigest()
    assert await store.get("t/incoming/a") == whole(12)
    await store.put("t/b", b"small")
    assert await store.get("t/b") == b"small"
    await store.put("t/b", b"other")
    assert await store.get("t/b") == b"other"
    await store.delete(["t/b", "t/never-was", "t/incoming/a"])
    for path in ("t/b", "t/incoming/a"):
        with pytest.raises(NoObject):
            await store.get(path)
    await store.prove()


async def break_off(store: ObjectStore) -> None:
    """The sender's error, and the receiver's end."""
    with pytest.raises(Broken):
        await store.receive("t/incoming/b", stream(12, breaks=True))
    never = asyncio.Event()

    async def stalled() -> AsyncGenerator[bytes, None]:
        for number in range(11):
            yield bytes([number]) * MIB
        never.set()
        await asyncio.Event().wait()

    receiving = asyncio.create_task(store.receive("t/incoming/c", stalled()))
    await never.wait()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.criterion("6.4")
async def test_a_folder_keeps_files_and_nothing_of_what_broke_off(tmp_path: Path) -> None:
    store = in_folder(tmp_path)
    await use(store)
    await break_off(store)
    assert files(tmp_path) == []
    assert (tmp_path / "objects").stat().st_mode & 0o077 == 0


@pytest.mark.criterion("6.4")
async def test_a_bucket_keeps_files_in_parts_and_nothing_of_what_broke_off(s3: FakeS3) -> None:
    store = in_bucket(s3)
    await use(store)
    assert (s3.most_parts, s3.largest_part) == (3, 5 * MIB)
    await break_off(store)
    assert s3.objects == {}
    assert s3.uploads == {}, "an upload in parts that nobody aborts is paid for for ever"


async def test_a_store_that_fails_is_unavailable(s3: FakeS3) -> None:
    wrong = in_bucket(s3, s3_secret_access_key="another-secret-of-nobody")
    with pytest.raises(Unavailable):
        await wrong.prove()
    s3.broken = True
    with pytest.raises(Unavailable):
        await in_bucket(s3).receive("t/incoming/a", stream(30))
