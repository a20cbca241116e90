"""A large upload takes no more memory than a small one: 200 MB are streamed into a cloud, and 440 past its limit."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from cloud import demo, schema
from cloud.clock import Clock
from cloud.database import Database
from cloud.failpoints import Failpoints
from cloud.postgres import EmbeddedPostgres
from tests.cloud.processes import serving
from tests.fakes.pictures import picture

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

MIB = 1024 * 1024
SENT = 200 * MIB
LIMIT = 220 * MIB
MOST_GROWTH = 48 * MIB
"""Of the cloud's process: a few parts of 5 MiB each, buffers of the line, and what the allocator keeps."""


async def padded(size: int) -> AsyncIterator[bytes]:
    """A picture, and then zeros, which a decoder does not look at."""
    yield picture().ljust(MIB, b"\0")
    for _ in range(size // MIB - 1):
        yield bytes(MIB)


def most_memory(pid: int) -> int:
    """The most that a process ever had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024


@pytest.mark.criterion("6.4")
async def test_memory_does_not_grow_with_what_is_sent(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "pg", durable=False)
    await schema.migrate(await postgres.start())
    database = Database(postgres.app_url, Failpoints(), pool_size=1)
    await database.open()
    seeded = await demo.seed(database, Clock())
    await database.close()
    assert seeded is not None
    settings = {"LARDER_CLOUD_STATE_DIR": str(tmp_path / "state"), "LARDER_CLOUD_PICTURE_BYTES": str(LIMIT)}
    headers = {"Authorization": f"Bearer {seeded.api_key}", "Content-Type": "image/jpeg"}
    try:
        async with (
            serving(postgres.app_url, **settings) as cloud,
            httpx.AsyncClient(base_url=cloud.url, headers=headers, timeout=120) as client,
        ):
            found = (await client.get("/v1/catalog/products?limit=2")).json()["products"]
            paths = [f"/v1/catalog/products/{product['product_id']}/picture" for product in found]
            assert (await client.put(paths[0], content=picture())).status_code == 201
            before = most_memory(cloud.process.pid)
            answer = await client.put(paths[1], content=padded(SENT))
            assert (answer.status_code, answer.json()["bytes"]) == (201, SENT)
            digest = hashlib.sha256()
            async for piece in padded(SENT):
                digest.update(piece)
            assert answer.json()["sha256"] == digest.hexdigest()
            accepted = most_memory(cloud.process.pid)
            refused = await client.put(paths[0], content=padded(2 * LIMIT))
            assert refused.status_code == 413
            after = most_memory(cloud.process.pid)
    finally:
        await postgres.stop()
    print(f"peak {before / MIB:.0f} MiB, after {SENT / MIB:.0f} MiB {accepted / MIB:.0f}, refused {after / MIB:.0f}")
    assert after - before < MOST_GROWTH
    assert not [file for file in (tmp_path / "state" / "objects").rglob("incoming/*") if file.is_file()]
