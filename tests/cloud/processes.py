"""The cloud as its own process, on a database given by URL."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.cloud.conftest import World
from tests.fakes import encryption_keys

START_SECONDS = 30.0


@dataclass
class CloudProcess:
    """A running `python -m cloud serve`."""

    process: asyncio.subprocess.Process
    url: str
    log: list[str]
    """Its lines so far, on both streams."""

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    async def ended(self, seconds: float) -> int:
        """Its exit status. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()


@asynccontextmanager
async def serving(
    database_url: str, program: Sequence[str] = ("-m", "cloud"), **settings: str
) -> AsyncIterator[CloudProcess]:
    """Start it and wait until it is ready; killed at the end if it still runs. `program`: as Python is told it."""
    environment = os.environ | {"LARDER_CLOUD_DATABASE_URL": database_url, "LARDER_CLOUD_PORT": "0"}
    environment |= encryption_keys.settings() | settings
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *program, "serve"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    log: list[str] = []
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            url = await _first_url(process.stdout, log)
        reading = asyncio.create_task(_keep(process.stdout, log), name="cloud-log")
        yield CloudProcess(process, url, log)
        reading.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _first_url(stream: asyncio.StreamReader, log: list[str]) -> str:
    while line := await stream.readline():
        log.append(line.decode())
        entry = json.loads(line)
        if entry["event"] == "ready":
            return str(entry["url"])
    raise AssertionError("the cloud ended before it was ready")


async def _keep(stream: asyncio.StreamReader, log: list[str]) -> None:
    while line := await stream.readline():
        log.append(line.decode())


async def gateway_command(world: World, name: str, gateway_id: object = None) -> tuple[int, str]:
    """`python -m cloud NAME TENANT GATEWAY`: its status and the last line it wrote."""
    assert world.gateway.claimed is not None
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cloud", name, world.seeded.tenant_id),
        str(gateway_id or world.gateway.claimed.gateway_id),
        env=os.environ | {"LARDER_CLOUD_DATABASE_URL": world.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        written, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, written.decode().strip().rsplit("\n", 1)[-1]
