"""What is on offer, by which version."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from edge.catalog.rules import Offer
from edge.catalog.service import machine_key
from edge.clock import new_id
from edge.errors import Refused
from shared.catalog import MachineVersion, PlanogramSlot, PlanogramVersion, ProductVersion
from shared.contract import Rail
from shared.errors import Code
from tests.fakes.site import PRICE_MINOR, SLOTS, Site, SteppedClock, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    clock = SteppedClock()
    clock.learn(datetime.now(UTC), 0)
    async with running_site(tmp_path, Rail.CASH, clock=clock) as site:
        yield site


async def offer(site: Site) -> Offer:
    return await site.database.read(lambda tx: site.catalog.offer(tx, site.machine_id))


async def take_planogram(site: Site, version: int, price_minor: int, effective_at: datetime) -> None:
    """Let the cloud send a planogram with one slot."""
    sold = (await offer(site)).slots["A1"]
    slot = PlanogramSlot(
        slot="A1",
        product_id=sold.product_id,
        device_id=sold.device_id,
        price_minor=price_minor,
        capacity=12,
        par_level=6,
    )
    change = PlanogramVersion(machine_id=site.machine_id, version=version, effective_at=effective_at, slots=(slot,))
    await site.database.unit("test", lambda tx: site.catalog.apply_planogram(tx, change))


async def take_machine(site: Site, version: int, *, in_service: bool = True, rail: Rail = Rail.CASH) -> None:
    change = MachineVersion(
        machine_id=site.machine_id,
        version=version,
        name="Snacks",
        rail=rail,
        currency="INR",
        in_service=in_service,
    )
    await site.database.unit("test", lambda tx: site.catalog.apply_machine(tx, change))


async def test_a_planogram_comes_into_force_at_its_time(site: Site) -> None:
    await take_planogram(site, 2, 99, datetime.now(UTC) + timedelta(hours=1))
    assert (await offer(site)).version == 1
    assert set((await offer(site)).slots) == SLOTS
    await take_planogram(site, 3, 77, datetime.now(UTC) - timedelta(seconds=1))
    found = await offer(site)
    assert (found.version, {slot: offered.price_minor for slot, offered in found.slots.items()}) == (3, {"A1": 77})


async def test_a_customer_who_saw_other_prices_is_asked_to_look_again(site: Site) -> None:
    await take_planogram(site, 2, 99, datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Refused) as refused:
        await site.order("A1")
    assert refused.value.code is Code.PRICE_CHANGED


async def test_a_version_once_known_is_never_changed(site: Site) -> None:
    await take_planogram(site, 1, 1, datetime.now(UTC))
    assert (await offer(site)).slots["A1"].price_minor == PRICE_MINOR


async def test_old_versions_of_machine_and_product_take_nothing_back(site: Site) -> None:
    await take_machine(site, 3, in_service=False)
    await take_machine(site, 2)
    assert not (await offer(site)).machine.in_service
    with pytest.raises(Refused) as refused:
        await site.order("A1")
    assert refused.value.code is Code.OUT_OF_SERVICE
    product_id = (await offer(site)).slots["A1"].product_id
    for version, name in ((2, "Roasted peanuts"), (1, "Old peanuts")):
        change = ProductVersion(product_id=product_id, version=version, name=name)
        with site.watch.on(machine_key(site.machine_id)) as changed:
            await site.database.unit("test", partial(site.catalog.apply_product, change=change))
            await site.settle()
            assert changed.is_set()
    assert (await offer(site)).slots["A1"].name == "Roasted peanuts"


async def test_a_machine_that_becomes_free_charges_nothing(site: Site) -> None:
    await take_machine(site, 2, rail=Rail.FREE)
    assert {offered.price_minor for offered in (await offer(site)).slots.values()} == {0}


async def test_an_unknown_machine_is_refused(site: Site) -> None:
    with pytest.raises(Refused) as refused:
        await site.database.read(lambda tx: site.catalog.offer(tx, new_id()))
    assert refused.value.code is Code.UNKNOWN_MACHINE


@pytest.mark.criterion("9.7")
async def test_the_cloud_is_told_each_time_that_a_machine_sells_nothing(site: Site) -> None:
    """An older version that comes late does not hide what counts."""

    async def told() -> list[int]:
        bodies = [fact.body for fact in await site.facts()]
        return [body.version for body in bodies if body.event == "machine_stopped"]

    await take_machine(site, 2)
    assert await told() == []
    await take_machine(site, 3, in_service=False)
    await take_machine(site, 2)
    assert await told() == [3, 3]
    await take_machine(site, 4)
    assert await told() == [3, 3]
