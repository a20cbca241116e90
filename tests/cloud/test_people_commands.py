"""The first people are made at a terminal, and there is no default password anywhere."""

import asyncio
import os
import re
import sys

import asyncpg
import pytest

from cloud.auth.identity import build
from cloud.cache import Caches
from cloud.clock import Clock
from cloud.database import Database, credentials
from cloud.limits import Limits
from cloud.live import LiveSettings
from cloud.mail import MailRoom
from cloud.settings import Live
from cloud.throttle import Throttle
from tests.cloud.conftest import Server
from tests.fakes.encryption_keys import keyring, settings
from tests.fakes.mailbox import Mailbox


async def run(url: str, owner_url: str, *arguments: str) -> tuple[int, str]:
    """`larder-cloud ARGUMENTS`: its status and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cloud", *arguments),
        env=os.environ
        | settings()
        | {"LARDER_CLOUD_DATABASE_URL": url, "LARDER_CLOUD_OWNER_DATABASE_URL": owner_url}
        | {"LARDER_CLOUD_PUBLIC_URL": "https://cloud.example"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        written, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, written.decode()


@pytest.mark.criterion("1.1")
async def test_a_business_begins_with_an_owner_who_chooses_their_password(
    database: Database, database_url: str, owner_url: str
) -> None:
    status, written = await run(database_url, owner_url, "create-owner", "Snack Bar", "olga@snacks.example", "Olga")
    assert status == 0, written
    tenant = re.search(r"business +(\S+)", written)
    link = re.search(r"https://cloud\.example/reset/(\S+)", written)
    assert tenant is not None
    assert link is not None
    clock, mails = Clock(), MailRoom(Mailbox(), "Larder <larder@cloud.example>", Clock())
    throttle = Throttle(Limits(database), LiveSettings(Live()))
    identity = build(database, clock, Caches(), keyring(), throttle, mails, "https://cloud.example")
    await identity.sign_in.reset(link[1], "olga chose this herself")

    again = ("create-owner", "Snack Bar", "olga@snacks.example", "Olga", "--tenant", tenant[1])
    status, written = await run(database_url, owner_url, *again)
    assert (status, "belongs to this business already" in written) == (1, True)
    status, written = await run(database_url, owner_url, "create-owner", "Other", "no address", "Otto")
    assert (status, "no e-mail address" in written) == (1, True)


async def test_who_looks_after_all_businesses_is_made_with_the_owner_of_the_tables(
    server: Server, database_url: str, owner_url: str
) -> None:
    status, written = await run(database_url, owner_url, "create-platform-admin", "pia@platform.example", "Pia")
    assert status == 0, written
    assert "https://cloud.example/reset/" in written
    name = str(credentials(database_url)["database"])
    superuser = await asyncpg.connect(**credentials(server.postgres.url("postgres", name)))
    assert await superuser.fetchval("SELECT is_platform_admin FROM users WHERE email = 'pia@platform.example'")
    assert await superuser.fetchval("SELECT count(*) FROM memberships") == 0
    await superuser.close()
