"""R18 for the claim: a gateway whose clock is behind, without NTP, finds its cloud, and no forger finds it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from edge.clock import Clock
from edge.settings import Settings
from edge.sync.cloud_client import CloudAway
from edge.sync.trust import CloudTrust
from shared.contract import ClockQuality
from tests.fakes.cloud import FakeCloud
from tests.fakes.jumping_clock import JumpingClock, clock_of_1970
from tests.fakes.sync_gateway import SyncGateway
from tests.fakes.tls_front import DAY, Authority, tls_front
from tests.fakes.until import until

BEGINS_TOMORROW = DAY
"""Tomorrow is to our clock what yesterday is to one that is two days behind."""


@asynccontextmanager
async def secured(
    cloud: FakeCloud, settings: Settings, clock: Clock, begins: timedelta, *, forged: bool = False
) -> AsyncIterator[SyncGateway]:
    """A gateway before a cloud with a certificate that begins so long from now."""
    trusted = Authority.make()
    signer = Authority.make() if forged else trusted
    async with tls_front(cloud.url, signer.server(settings.state_dir, begins)) as url:
        patient = settings.model_copy(update={"cloud_url": url, "cloud_timeout_s": 5.0})
        gateway = SyncGateway(patient, clock, contexts=trusted.trusting)
        await gateway.open()
        yield gateway
        await gateway.close()


async def claim(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await gateway.client.claim(SecretStr(cloud.code), "0.1.0", Authority.make().pem)


@pytest.mark.criterion("9.3")
async def test_a_gateway_whose_clock_is_behind_claims_syncs_and_is_told_the_time(
    cloud: FakeCloud, settings: Settings
) -> None:
    clock = clock_of_1970()
    async with secured(cloud, settings, clock, BEGINS_TOMORROW) as gateway:
        running = asyncio.create_task(gateway.run())
        await until(lambda: bool(cloud.doorbells))
        await gateway.client.renew()
        cloud.requests.clear()
        cloud.ring()
        await until(lambda: bool(cloud.requests))
        assert clock.quality is ClockQuality.SYNCED
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.parametrize(
    ("begins", "forged", "why"),
    [
        (-91 * DAY, False, "certificate has expired"),
        (BEGINS_TOMORROW, True, "certificate signature failure"),
    ],
)
@pytest.mark.parametrize("doubting", [True, False])
async def test_what_has_ended_or_is_forged_is_refused_whatever_the_clock_shows(
    cloud: FakeCloud, settings: Settings, begins: timedelta, forged: bool, why: str, doubting: bool
) -> None:
    """Also by a gateway that has seen a certificate that was not yet valid before."""
    clock = JumpingClock(timedelta(minutes=-5))
    async with secured(cloud, settings, clock, begins, forged=forged) as gateway:
        if doubting:
            clock.learn(datetime.now(UTC), 0)
            await gateway.client.renew()
        for _ in range(2):
            with pytest.raises(CloudAway, match=why):
                await claim(gateway, cloud)
    assert cloud.requests == []


async def test_a_clock_that_is_right_waits_until_a_certificate_begins(cloud: FakeCloud, settings: Settings) -> None:
    clock = Clock()
    clock.learn(datetime.now(UTC), 0)
    async with secured(cloud, settings, clock, BEGINS_TOMORROW) as gateway:
        for _ in range(2):
            with pytest.raises(CloudAway, match="not yet valid"):
                await claim(gateway, cloud)


def test_a_clock_that_is_behind_is_doubted_no_more_once_it_is_set() -> None:
    clock = clock_of_1970()
    trust = CloudTrust(clock, Authority.make().trusting)
    strict = trust.context().verify_flags
    clock.learn(datetime.now(UTC), 0)
    assert trust.context().verify_flags != strict
    clock.jump(datetime.now(UTC) - clock.wall())
    assert trust.context().verify_flags == strict
