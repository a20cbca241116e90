"""A device that comes to a site later shall run what all devices of the site shall."""

from datetime import timedelta
from uuid import UUID

import pytest

from cloud.clock import Clock, new_id
from cloud.database import Transaction
from cloud.devices import service as devices
from shared.devices import DeviceClaimed
from tests.cloud.conftest import World
from tests.cloud.rollouts.test_assignments import assigned, device_row, put
from tests.cloud.rollouts.test_releases import published
from tests.fakes.release_key import signed_release


async def expected(world: World) -> UUID:
    """A board more in the first machine, which nobody has claimed yet."""

    async def work(transaction: Transaction) -> UUID:
        where = UUID(world.seeded.site_id), UUID(world.seeded.machines[0].machine_id)
        device_id, _ = await devices.expect_device(transaction, world.tenant_id, *where, "late board", Clock().now())
        return device_id

    return await world.do(work)


async def claimed(world: World, device_id: UUID) -> None:
    world.gateway.add(DeviceClaimed(device_id=device_id, machine_id=UUID(world.seeded.machines[0].machine_id)))
    await world.acknowledged(len(world.gateway.lines))


def site(world: World) -> str:
    return f"sites/{world.seeded.site_id}"


@pytest.mark.criterion("8.5")
async def test_a_device_that_is_claimed_later_is_assigned_what_its_site_is(world: World) -> None:
    digest = await published(world, signed_release())
    await put(world, site(world), digest)
    device_id = await expected(world)
    assert (await device_row(world, device_id))["assigned_digest"] is None
    await claimed(world, device_id)
    assert (await device_row(world, device_id))["assigned_digest"] == digest
    change = (await assigned(world, 0))[-1]
    assert change.device_id == device_id
    assert change.release is not None
    assert change.release.digest == digest
    await claimed(world, device_id)
    assert (await assigned(world, 0))[-1] == change, "a board in its place is offered the same assignment"


async def test_what_a_device_was_assigned_itself_stays(world: World) -> None:
    digest, own = await published(world, signed_release()), await published(world, signed_release("1.1.0"))
    await put(world, site(world), digest)
    device_id = await expected(world)
    await put(world, f"devices/{device_id}", own)
    await claimed(world, device_id)
    assert (await device_row(world, device_id))["assigned_digest"] == own


@pytest.mark.parametrize("why", ["withdrawn", "expired", "taken back", "of one device only"])
async def test_what_is_no_wish_for_the_site_any_more_concerns_nobody(world: World, why: str) -> None:
    soon = Clock().now() + timedelta(seconds=2)
    digest = await published(world, signed_release(expires=int(soon.timestamp()) if why == "expired" else 2**40))
    where = f"devices/{(await world.slot()).device_id}" if why == "of one device only" else site(world)
    assert (await put(world, where, digest)).status_code == 200
    if why == "withdrawn":
        await world.client.delete(f"/v1/releases/{digest}", headers=world.operator)
    elif why == "taken back":
        await put(world, site(world), None)
    elif why == "expired":
        await world.rows("SELECT pg_sleep(2)")
    device_id = await expected(world)
    await claimed(world, device_id)
    assert (await device_row(world, device_id))["assigned_digest"] is None


async def test_only_a_site_that_is_there_is_assigned_anything(world: World) -> None:
    digest = await published(world, signed_release())
    assert (await put(world, f"sites/{new_id()}", digest)).status_code == 404
