"""The world's cloud, served to real browsers, and its people."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypercorn.asyncio import serve

from cloud.server import configure, listen, url_of
from tests.cloud.auth.conftest import admin, office, platform
from tests.cloud.conftest import World
from tests.fakes.postgres_cloud import cloud_app

__all__ = ["admin", "office", "platform", "url"]


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    """Where it is. It mails into the world's mailbox."""
    draining, bound = asyncio.Event(), listen("127.0.0.1", 0)

    async def drained() -> None:
        await draining.wait()

    where, app = url_of(bound), cloud_app(world.url, draining, world.mailbox)
    serving = asyncio.create_task(serve(app, configure(bound), shutdown_trigger=drained))
    yield where
    draining.set()
    await serving
