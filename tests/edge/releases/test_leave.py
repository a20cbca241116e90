"""A device boots by its release when its gateway says so: no order is open there, and none comes while it is away."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.clock import new_id
from edge.errors import Unavailable
from edge.links import LINKS_KEY
from edge.orders.rules import CUSTOMER_WINDOW_S
from edge.payments.service import CREDITS_KEY
from edge.payments.sweep import RENEW_S
from edge.releases.sweep import LEAVE_AGAIN_S
from shared.contract import Rail
from shared.orders import OrderState
from shared.releases import LEAVE_S
from shared.releases import FirmwareState as State
from tests.fakes.release_site import BUNDLE, DIGEST, arrive, assign, quiet, tell
from tests.fakes.site import PRICE_MINOR, Site, running_site
from tests.fakes.until import until


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as site:
        yield site


async def ready(site: Site) -> None:
    """The device has all of its release, and asks for leave to boot by it."""
    await tell(site, State.FETCHING, offered=DIGEST, ready=True)


def leaves(site: Site) -> int:
    """How often the device was given leave to boot."""
    return [json.loads(payload)["type"] for _, payload in site.sent].count("leave")


@pytest.mark.criterion("8.5")
async def test_a_device_may_boot_by_its_release_once_no_order_is_open_and_then_none_is_placed(tmp_path: Path) -> None:
    async with running_site(tmp_path, Rail.CASH) as site:
        await assign(site)
        await arrive(site)
        view = await site.order("A1")
        await ready(site)
        await quiet(site)
        assert leaves(site) == 0
        await site.orders.cancel(view.order_id)
        await until(lambda: leaves(site) == 1)
        assert [json.loads(payload)["digest"] for _, payload in site.sent][-1] == DIGEST
        with pytest.raises(Unavailable):
            await site.order("A1")
        assert site.links.online(site.device_id), "it has not gone yet"


@pytest.mark.criterion("8.5")
async def test_a_device_that_does_not_go_sells_again_and_has_no_leave_for_a_while(site: Site) -> None:
    await assign(site)
    await arrive(site)
    await ready(site)
    await until(lambda: leaves(site) == 1)
    site.clock.step(LEAVE_S)
    order = await site.order("A1")
    await site.until_state(order.order_id, OrderState.SETTLED)
    await ready(site)
    await quiet(site)
    assert leaves(site) == 1
    site.clock.step(LEAVE_AGAIN_S)
    await until(lambda: leaves(site) == 2)


@pytest.mark.criterion("8.2")
async def test_a_device_that_has_leave_takes_no_money_until_it_sells_again(tmp_path: Path) -> None:
    async with running_site(tmp_path, Rail.CASH) as site:
        await until(lambda: site.device.takes_money)
        await assign(site)
        await arrive(site)
        await ready(site)
        await until(lambda: leaves(site) == 1)
        await until(lambda: not site.device.takes_money, RENEW_S / 2)
        site.watch.touch([LINKS_KEY])
        await quiet(site)
        assert not site.device.takes_money
        site.clock.step(LEAVE_S)
        site.watch.touch([LINKS_KEY])
        await until(lambda: site.device.takes_money)


@pytest.mark.criterion("8.5")
async def test_whoever_has_just_inserted_a_coin_can_still_order_and_change_that_is_left_holds_up_nothing(
    tmp_path: Path,
) -> None:
    async with running_site(tmp_path, Rail.CASH) as site:
        await assign(site)
        await arrive(site)
        for coins in (1, 2):
            await site.device.insert_coin(PRICE_MINOR)
            await until_credit(site, coins * PRICE_MINOR)
            await ready(site)
            await quiet(site)
            site.clock.step(CUSTOMER_WINDOW_S - 5)
            await quiet(site)
        assert leaves(site) == 0
        site.clock.step(5)
        await until(lambda: leaves(site) == 1)


async def until_credit(site: Site, amount_minor: int) -> None:
    """Wait until so much was counted."""
    with site.watch.on(CREDITS_KEY) as changed:
        while await site.credit() != amount_minor:
            await asyncio.wait_for(changed.wait(), 5)
            changed.clear()


@pytest.mark.criterion("8.5")
async def test_a_device_that_has_connected_anew_sells_at_once(site: Site) -> None:
    await assign(site)
    await arrive(site)
    await ready(site)
    await until(lambda: leaves(site) == 1)
    with pytest.raises(Unavailable):
        await site.order("A1")
    site.disconnect()
    await site.connect()
    await until(lambda: site.devices.online(site.device_id))
    await site.order("A1")


@pytest.mark.criterion("8.5")
@pytest.mark.parametrize("why", ["another release", "another boot", "it is not ready", "nothing is assigned"])
async def test_leave_is_for_the_release_that_is_assigned_and_for_this_boot(site: Site, why: str) -> None:
    await assign(site, None if why == "nothing is assigned" else BUNDLE)
    if why != "nothing is assigned":
        await arrive(site)
    if why == "another boot":
        site.device.boot_id = str(new_id())
    offered = "ab" * 32 if why == "another release" else DIGEST
    await tell(site, State.FETCHING, offered=offered, ready=why != "it is not ready")
    await quiet(site)
    assert leaves(site) == 0
