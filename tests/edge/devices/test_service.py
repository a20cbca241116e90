"""First contact, login, hello, heartbeat, and who is there."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from edge.access import Identity, IdentityKind
from edge.clock import new_id
from edge.devices.service import link_key
from edge.links import LINKS_KEY
from shared.commands import COMMAND, mac_of
from shared.contract import ClockQuality
from shared.devices import Claim, Claimed, DeviceHealth, DeviceLinkChanged, ExpectedDevice, Heartbeat
from shared.topics import Channel, Topic
from tests.fakes.site import Site, running_site

CODE = secrets.token_hex(16)
YEAR = timedelta(days=365)


@dataclass
class Newcomer:
    """A device that nobody has met, as the cloud announces it."""

    site: Site
    device_id: UUID
    token: str
    key: str

    @property
    def claim(self) -> Claim:
        return Claim(token_sha256=hashlib.sha256(self.token.encode()).hexdigest(), command_key=self.key)

    @property
    def topic(self) -> Topic:
        return Topic(self.site.machine_id, self.device_id, Channel.CLAIM)

    async def expect(self, code: str = CODE, expires_at: datetime | None = None) -> None:
        """Let the cloud say that this device may come with `code`."""
        change = ExpectedDevice(
            device_id=self.device_id,
            machine_id=self.site.machine_id,
            name="right cabinet",
            claim_code_sha256=hashlib.sha256(code.encode()).hexdigest(),
            claim_expires_at=expires_at or datetime.now(UTC) + YEAR,
        )
        await self.site.database.unit("test", lambda tx: self.site.devices.apply_expected(tx, change))

    async def log_in(self, password: str, client_id: str = "", username: str = "") -> Identity | None:
        mine = str(self.device_id)
        return await self.site.devices.authenticate(client_id or mine, username or mine, password.encode())

    async def claims(self) -> int:
        """How many times the ledger says it was claimed."""
        return [fact.body.event for fact in await self.site.facts()].count("device_claimed")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


@pytest.fixture
async def newcomer(site: Site) -> Newcomer:
    newcomer = Newcomer(site, new_id(), secrets.token_hex(32), secrets.token_hex(32))
    await newcomer.expect()
    return newcomer


@pytest.mark.criterion("8.1")
async def test_a_device_claims_itself_once_and_then_logs_in_by_its_own_token(newcomer: Newcomer) -> None:
    site, sent = newcomer.site, newcomer.site.sent
    claiming = Identity(IdentityKind.CLAIMING_DEVICE, site.machine_id, newcomer.device_id)
    assert await newcomer.log_in("claim:" + CODE) == claiming
    assert await newcomer.log_in(newcomer.token) is None
    await site.devices.claim(newcomer.topic, newcomer.claim)
    topic, payload = sent[-1]
    answer = COMMAND.validate_json(payload)
    assert topic == str(Topic(site.machine_id, newcomer.device_id, Channel.COMMAND))
    assert isinstance(answer, Claimed)
    assert answer.mac == mac_of(bytes.fromhex(newcomer.key), site.machine_id, newcomer.device_id, answer)
    device = Identity(IdentityKind.DEVICE, site.machine_id, newcomer.device_id)
    assert await newcomer.log_in(newcomer.token) == device
    assert await newcomer.log_in("claim:" + CODE) is None
    assert await newcomer.claims() == 1


@pytest.mark.criterion("8.1")
async def test_a_claim_whose_answer_was_lost_is_confirmed_again(newcomer: Newcomer) -> None:
    for _ in range(3):
        await newcomer.site.devices.claim(newcomer.topic, newcomer.claim)
    assert len(newcomer.site.sent) == 3
    assert await newcomer.claims() == 1


async def test_a_used_code_takes_no_other_credentials(newcomer: Newcomer) -> None:
    await newcomer.site.devices.claim(newcomer.topic, newcomer.claim)
    thief = Newcomer(newcomer.site, newcomer.device_id, secrets.token_hex(32), secrets.token_hex(32))
    await thief.site.devices.claim(thief.topic, thief.claim)
    assert await thief.log_in(thief.token) is None
    assert await newcomer.log_in(newcomer.token) is not None
    assert len(newcomer.site.sent) == 1


async def test_a_new_code_lets_a_swapped_board_in_and_the_old_one_out(newcomer: Newcomer) -> None:
    await newcomer.site.devices.claim(newcomer.topic, newcomer.claim)
    await newcomer.expect(code="another code")
    assert await newcomer.log_in(newcomer.token) is not None
    assert await newcomer.log_in("claim:another code") is not None
    board = Newcomer(newcomer.site, newcomer.device_id, secrets.token_hex(32), secrets.token_hex(32))
    await board.site.devices.claim(board.topic, board.claim)
    assert await board.log_in(board.token) is not None
    assert await newcomer.log_in(newcomer.token) is None


async def test_a_claim_of_nobody_leaves_nothing(site: Site) -> None:
    stranger = Newcomer(site, new_id(), secrets.token_hex(32), secrets.token_hex(32))
    await site.devices.claim(stranger.topic, stranger.claim)
    assert await stranger.claims() == 0
    assert await stranger.log_in(stranger.token) is None
    assert site.sent == []


@pytest.mark.criterion("8.1")
async def test_who_is_let_in(newcomer: Newcomer) -> None:
    await newcomer.site.devices.claim(newcomer.topic, newcomer.claim)
    mine, other, token = str(newcomer.device_id), str(newcomer.site.device_id), newcomer.token
    refused = [
        (mine, mine, ""),
        (mine, mine, "0" * 64),
        (mine, mine, token[:-1]),
        (mine, mine, token + "0"),
        (mine, mine, token.upper()),
        (mine, mine, "claim:"),
        (mine, mine, "claim:" + token),
        (mine, mine, "claim:wrong"),
        (mine, mine, hashlib.sha256(token.encode()).hexdigest()),
        (mine, other, token),
        (other, mine, token),
        (other, other, token),
        (mine.upper(), mine.upper(), token),
        (mine.replace("-", ""), mine.replace("-", ""), token),
        ("{" + mine + "}", "{" + mine + "}", token),
        (str(uuid4()), str(uuid4()), token),
        ("", "", token),
        ("device", "device", token),
    ]
    for client_id, username, password in refused:
        found = await newcomer.site.devices.authenticate(client_id, username, password.encode())
        assert found is None, (client_id, username, password)
    assert await newcomer.log_in(token) is not None


async def test_a_device_without_credentials_has_no_empty_password(newcomer: Newcomer) -> None:
    for password in ("", "0" * 64, hashlib.sha256(b"").hexdigest(), "None"):
        assert await newcomer.log_in(password) is None


@pytest.mark.parametrize(
    ("quality", "ago", "let_in"),
    [
        (ClockQuality.SYNCED, -YEAR, True),
        (ClockQuality.SYNCED, timedelta(seconds=1), False),
        (ClockQuality.UNSYNCED, timedelta(seconds=1), True),
        (ClockQuality.UNSYNCED, 50 * YEAR, True),
    ],
)
async def test_an_expired_code_opens_only_for_a_clock_nobody_has_set(
    newcomer: Newcomer, quality: ClockQuality, ago: timedelta, let_in: bool
) -> None:
    newcomer.site.clock.quality = quality
    await newcomer.expect(expires_at=datetime.now(UTC) - ago)
    assert (await newcomer.log_in("claim:" + CODE) is not None) is let_in


async def test_a_device_is_of_use_once_it_has_said_hello(site: Site) -> None:
    site.disconnect()
    site.log_in()
    assert not site.devices.online(site.device_id)
    await site.device.hello()
    await site.settle()
    assert site.devices.online(site.device_id)


async def link_facts(site: Site) -> list[tuple[bool, str]]:
    bodies = [fact.body for fact in await site.facts()]
    return [(body.online, body.reason) for body in bodies if isinstance(body, DeviceLinkChanged)]


async def test_coming_and_going_is_noted_once_each(site: Site) -> None:
    await site.settle()
    for _ in range(3):
        site.disconnect()
    await site.settle()
    assert await link_facts(site) == [(True, "hello"), (False, "disconnected")]
    await site.connect()
    await site.device.hello()
    await site.settle()
    assert await link_facts(site) == [(True, "hello"), (False, "disconnected"), (True, "hello")]


async def test_after_a_restart_who_does_not_come_is_noted_as_gone(tmp_path: Path) -> None:
    async with running_site(tmp_path) as before:
        await before.settle()
    async with running_site(tmp_path) as after:
        await after.settle()
        gone = [
            fact.body
            for fact in await after.facts()
            if isinstance(fact.body, DeviceLinkChanged) and not fact.body.online
        ]
        assert [body.device_id for body in gone] == [before.device_id]


async def test_a_heartbeat_renews_the_nonce_and_keeps_one_sample_a_minute(site: Site) -> None:
    topic = Topic(site.machine_id, site.device_id, Channel.HEARTBEAT)
    site.clock.step(60 - site.clock.monotonic() % 60 + 1)
    for number in range(12):
        beat = Heartbeat(boot_id=UUID(site.device.boot_id), nonce=f"{number:016x}", uptime_s=number * 10)
        await site.devices.heartbeat(topic, beat)
        assert site.links.nonce(site.device_id) == beat.nonce
        site.clock.step(9.9)
    rows = await site.database.read(lambda tx: tx.all("SELECT line FROM telemetry ORDER BY rowid"))
    samples = [DeviceHealth.model_validate_json(row["line"]) for row in rows]
    assert [sample.uptime_s for sample in samples] == [50, 110]
    assert {sample.firmware for sample in samples} == {"1.0.0"}


async def test_a_nonce_of_another_boot_than_said_hello_is_not_quoted(site: Site) -> None:
    """It may have another journal: before its own hello nothing may be sent to it."""
    met = site.links.nonce(site.device_id)
    topic = Topic(site.machine_id, site.device_id, Channel.HEARTBEAT)
    await site.devices.heartbeat(topic, Heartbeat(boot_id=new_id(), nonce="f" * 16, uptime_s=1))
    assert site.links.nonce(site.device_id) == met != "f" * 16


async def test_a_hello_whose_connection_was_replaced_meanwhile_opens_nothing(site: Site) -> None:
    busy = asyncio.create_task(site.database.unit("test.busy", lambda tx: time.sleep(0.1)))
    await asyncio.sleep(0.02)
    await site.device.hello()
    await asyncio.sleep(0.02)
    site.disconnect()
    site.log_in()
    await busy
    await site.settle()
    assert not site.links.online(site.device_id)


async def test_a_heartbeat_before_the_hello_makes_no_device_commandable(site: Site) -> None:
    site.disconnect()
    site.log_in()
    topic = Topic(site.machine_id, site.device_id, Channel.HEARTBEAT)
    await site.devices.heartbeat(topic, Heartbeat(boot_id=new_id(), nonce="f" * 16, uptime_s=1))
    assert site.links.nonce(site.device_id) is None


async def test_a_departure_noted_too_late_is_taken_back(site: Site) -> None:
    """It was noted after the hello that had ended it, and before its link could be used."""
    sql = "UPDATE devices SET online = 0"
    with site.watch.on(link_key(site.machine_id)) as told:
        await site.database.unit("test", lambda tx: tx.run(sql))
        site.watch.touch([LINKS_KEY])
        async with asyncio.timeout(5):
            await told.wait()
    changes = [fact.body.online for fact in await site.facts() if isinstance(fact.body, DeviceLinkChanged)]
    assert changes == [True, True]
    assert await site.database.read(lambda tx: tx.one("SELECT 1 FROM devices WHERE online")) is not None
