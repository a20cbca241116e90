"""The world's cloud, served to real browsers, and its people."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.cloud.auth.conftest import admin, office, platform
from tests.cloud.conftest import World
from tests.fakes.postgres_cloud import cloud_app
from tests.fakes.served import on_a_port

__all__ = ["admin", "office", "platform", "url"]


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    """Where it is. It mails into the world's mailbox."""
    draining = asyncio.Event()
    async with on_a_port(cloud_app(world.url, draining, world.mailbox)) as port:
        yield f"http://127.0.0.1:{port}"
        draining.set()
