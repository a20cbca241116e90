"""People and their services, on the world's database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from cloud.auth.identity import build
from cloud.clock import Clock
from cloud.limits import Limits
from cloud.live import LiveSettings
from cloud.mail import MailRoom
from cloud.settings import Live
from cloud.throttle import Throttle
from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud
from tests.fakes.encryption_keys import keyring


@pytest.fixture
async def office(world: World) -> AsyncIterator[Office]:
    mails = MailRoom(world.mailbox, "Larder <larder@larder.example>", Clock())
    throttle = Throttle(Limits(world.database), LiveSettings(Live()))
    identity = build(world.database, Clock(), keyring(), throttle, mails, "http://cloud.example")
    carrying = asyncio.create_task(mails.run(), name="mail of the test")
    async with world.app.test_request_context("/"):  # attempts are counted by the address of a request
        yield Office(world.app, identity, world.mailbox)
    carrying.cancel()
    with suppress(asyncio.CancelledError):
        await carrying


@pytest.fixture
async def admin(world: World) -> PersonAtCloud:
    """The demo's admin, signed in."""
    person = PersonAtCloud(world.app, world.seeded.email, world.seeded.password)
    assert (await person.sign_in()).status_code == 303
    return person
