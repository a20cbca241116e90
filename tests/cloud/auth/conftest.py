"""People and their services, on the world's database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from cloud.auth.first_people import FirstPeople
from cloud.auth.identity import build
from cloud.cache import Caches
from cloud.clock import Clock
from cloud.database import credentials
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
    identity = build(world.database, Clock(), Caches(), keyring(), throttle, mails, "http://cloud.example")
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


@pytest.fixture
async def platform(world: World, office: Office, owner_url: str) -> PersonAtCloud:
    """Somebody who looks after all tenants and belongs to none, signed in with a second factor."""
    people = FirstPeople(world.database, Clock(), "http://cloud.example")
    user_id, link = await people.user("pia@platform.example", "Pia")
    owner = await asyncpg.connect(**credentials(owner_url))
    await owner.execute("SELECT set_config('app.user', $1, false)", str(user_id))
    assert await owner.execute("UPDATE users SET is_platform_admin = true WHERE id = $1", user_id) == "UPDATE 1"
    await owner.close()
    person = PersonAtCloud(world.app, "pia@platform.example", "pia has a long pass phrase")
    await office.identity.sign_in.reset(link.rpartition("/")[2], person.password)
    return await office.with_second_factor(person)
