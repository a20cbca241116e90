"""R18: the wall clock jumps; deadlines, order, prices and claim codes do not care."""

import asyncio
import hashlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.catalog.service import CatalogService, machine_key
from edge.clock import new_id
from edge.orders.rules import PAY_WINDOW_S
from edge.outbox import Outbox
from shared.catalog import PlanogramSlot, PlanogramVersion
from shared.contract import ClockQuality, Rail
from shared.devices import ExpectedDevice
from shared.orders import OrderState, OrderView, VendOutcome, VendProgress
from shared.sync import Fact
from tests.fakes.jumping_clock import EPOCH, JumpingClock, clock_of_1970
from tests.fakes.site import PRICE_MINOR, Site, running_site

YEAR = timedelta(days=365)
JUMPS = {
    "a day on": timedelta(days=1),
    "a day back": timedelta(days=-1),
    "ten years on": 10 * YEAR,
    "ten years back": -10 * YEAR,
    "to 1970": EPOCH - datetime.now(UTC),
}
each_jump = pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS.keys())
each_quality = pytest.mark.parametrize("told", [True, False], ids=["synced", "unsynced"])


def clock_that(told: bool) -> JumpingClock:
    clock = JumpingClock()
    if told:
        clock.learn(datetime.now(UTC), 0)
    return clock


def started(position: int) -> Callable[[OrderView], bool]:
    return lambda view: view.vends[position].state is VendProgress.STARTED


def assert_in_order(facts: list[Fact]) -> None:
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert [fact.mono_ms for fact in facts] == sorted(fact.mono_ms for fact in facts)


@each_jump
@each_quality
async def test_a_jump_during_a_vend_expires_nothing(tmp_path: Path, jump: timedelta, told: bool) -> None:
    clock = clock_that(told)
    async with running_site(tmp_path, clock=clock) as site:
        site.device.slow = True
        view = await site.order("A1", "A2")
        for position in range(2):
            await site.until(view.order_id, started(position))
            clock.jump(jump)
            await site.settle()
            assert (await site.orders.view(view.order_id)).state is OrderState.DISPENSING
            await site.device.turn()
        view = await site.until_state(view.order_id, OrderState.SETTLED)
        assert [vend.outcome for vend in view.vends] == [VendOutcome.DISPENSED] * 2
        assert "cancel" not in site.device.heard
        assert_in_order(await site.facts())


@each_jump
async def test_an_unpaid_order_waits_its_time_and_no_other(tmp_path: Path, jump: timedelta) -> None:
    clock = JumpingClock()
    async with running_site(tmp_path, Rail.CASH, clock=clock) as site:
        paid = await site.order("A1")
        clock.jump(jump)
        await site.settle()
        assert (await site.orders.view(paid.order_id)).state is OrderState.PLACED
        await site.device.insert_coin(PRICE_MINOR)
        await site.until_state(paid.order_id, OrderState.SETTLED)
        left = await site.order("A2")
        clock.jump(-jump)
        await site.settle()
        assert (await site.orders.view(left.order_id)).state is OrderState.PLACED
        clock.step(PAY_WINDOW_S)
        await site.until_state(left.order_id, OrderState.EXPIRED)


async def test_a_gateway_that_boots_in_1970_sells_and_keeps_the_order_of_its_facts(tmp_path: Path) -> None:
    clock = clock_of_1970()
    async with running_site(tmp_path, clock=clock) as site:
        before = await site.until_state((await site.order("A1")).order_id, OrderState.SETTLED)
        clock.learn(datetime.now(UTC), 0)
        after = await site.until_state((await site.order("A1")).order_id, OrderState.SETTLED)
        facts = await site.facts()
    assert_in_order(facts)
    assert [vend.outcome for view in (before, after) for vend in view.vends] == [VendOutcome.DISPENSED] * 2
    unsynced = [fact for fact in facts if fact.clock is ClockQuality.UNSYNCED]
    assert facts[: len(unsynced)] == unsynced
    assert {fact.at.year for fact in unsynced} == {1970}
    assert {fact.at.year for fact in facts[len(unsynced) :]} == {datetime.now(UTC).year}


async def add_prices(site: Site, version: int, effective_at: datetime) -> None:
    """Another version of the planogram that is in force now."""
    offer = await site.database.read(lambda tx: site.catalog.offer(tx, site.machine_id))
    slots = tuple(
        PlanogramSlot(
            slot=slot.slot,
            product_id=slot.product_id,
            device_id=slot.device_id,
            price_minor=slot.price_minor,
            capacity=12,
            par_level=6,
        )
        for slot in offer.slots.values()
    )
    change = PlanogramVersion(machine_id=site.machine_id, version=version, effective_at=effective_at, slots=slots)
    await site.database.unit("test", lambda tx: site.catalog.apply_planogram(tx, change))


async def version(site: Site) -> int:
    return (await site.database.read(lambda tx: site.catalog.offer(tx, site.machine_id))).version


async def version_after_a_power_cut(site: Site, jump: timedelta) -> int:
    """What is sold before the cloud has told the time."""
    clock = JumpingClock(jump)
    return (
        await site.database.read(lambda tx: CatalogService(clock, Outbox(clock)).offer(tx, site.machine_id))
    ).version


@each_jump
async def test_prices_that_were_shown_are_never_taken_back(tmp_path: Path, jump: timedelta) -> None:
    """Nobody has bought by them yet."""
    async with running_site(tmp_path, clock=clock_that(told=True)) as site:
        await add_prices(site, 2, datetime.now(UTC) - timedelta(hours=1))
        assert await version(site) == await version_after_a_power_cut(site, jump) == 2


async def test_prices_that_came_by_time_alone_are_never_taken_back(tmp_path: Path) -> None:
    clock = clock_that(told=True)
    async with running_site(tmp_path, clock=clock) as site:
        await add_prices(site, 2, datetime.now(UTC) + timedelta(hours=1))
        with site.watch.on(machine_key(site.machine_id)) as noted:
            clock.step(3601)
            async with asyncio.timeout(5):
                await noted.wait()
        assert await version_after_a_power_cut(site, EPOCH - datetime.now(UTC)) == 2


@each_jump
async def test_an_untold_clock_brings_no_price_early_for_good(tmp_path: Path, jump: timedelta) -> None:
    clock = JumpingClock(jump)
    async with running_site(tmp_path, clock=clock) as site:
        await add_prices(site, 2, datetime.now(UTC) + timedelta(days=30))
        await site.until_state((await site.order("A1")).order_id, OrderState.SETTLED)
        clock.jump(-2 * jump)
        await site.until_state((await site.order("A1")).order_id, OrderState.SETTLED)
        clock.learn(datetime.now(UTC), 0)
        assert await version(site) == 1


@each_jump
async def test_a_told_clock_brings_no_price_before_its_time(tmp_path: Path, jump: timedelta) -> None:
    clock = clock_that(told=True)
    async with running_site(tmp_path, clock=clock) as site:
        await add_prices(site, 2, datetime.now(UTC) + timedelta(hours=1))
        clock.jump(jump)
        assert await version(site) == 1
        clock.step(3601)
        assert await version(site) == 2


@each_jump
async def test_claim_codes_end_when_they_end(tmp_path: Path, jump: timedelta) -> None:
    clock = clock_that(told=True)
    async with running_site(tmp_path, clock=clock) as site:
        device_id, code = new_id(), "code"
        change = ExpectedDevice(
            device_id=device_id,
            machine_id=site.machine_id,
            name="new",
            claim_code_sha256=hashlib.sha256(code.encode()).hexdigest(),
            claim_expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
        await site.database.unit("test", lambda tx: site.devices.apply_expected(tx, change))

        async def let_in() -> bool:
            name = str(device_id)
            return await site.devices.authenticate(name, name, f"claim:{code}".encode()) is not None

        clock.jump(jump)
        assert await let_in()
        clock.step(3601)
        assert not await let_in()
        clock.jump(-jump)
        assert not await let_in()


async def test_a_clock_that_jumps_all_the_time_loses_no_order(tmp_path: Path) -> None:
    seed = 18
    print(f"seed {seed}")
    chance, clock = random.Random(seed), JumpingClock()
    async with running_site(tmp_path, Rail.CASH, opening=100, clock=clock) as site:
        for _ in range(30):
            view = await site.order("A1")
            clock.jump(chance.choice(list(JUMPS.values())))
            await site.device.insert_coin(PRICE_MINOR)
            view = await site.until_state(view.order_id, OrderState.SETTLED)
            assert view.vends[0].outcome is VendOutcome.DISPENSED
        assert_in_order(await site.facts())
        assert (await site.stock("A1"), await site.credit()) == (70, 0)
