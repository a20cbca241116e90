"""A gateway's ledger and identity, a fake cloud, and a sync agent between them with short waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.clock import Clock
from edge.settings import Settings
from tests.fakes.cloud import FakeCloud, running
from tests.fakes.sync_gateway import SyncGateway


@pytest.fixture
async def cloud() -> AsyncIterator[FakeCloud]:
    async with running(FakeCloud()) as fake:
        yield fake


@pytest.fixture
def watchdog_s() -> float:
    return 1


@pytest.fixture
def settings(cloud: FakeCloud, tmp_path: Path, watchdog_s: float) -> Settings:
    return Settings.model_validate(
        {
            "state_dir": tmp_path,
            "cloud_url": cloud.url,
            "claim_code": cloud.code,
            "cloud_timeout_s": 0.5,
            "backoff_first_s": 0.02,
            "backoff_limit_s": 0.1,
            "poll_s": 30,
            "telemetry_s": 0.1,
            "watchdog_s": watchdog_s,
        }
    )


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[SyncGateway]:
    """A gateway whose ledger is open; its agent is started by the test."""
    gateway = SyncGateway(settings, Clock())
    await gateway.open()
    yield gateway
    await gateway.close()


@pytest.fixture
async def started(gateway: SyncGateway) -> AsyncIterator[asyncio.Task[None]]:
    """The claimed gateway's agent, running."""
    task = asyncio.create_task(gateway.run())
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
