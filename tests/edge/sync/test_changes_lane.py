"""Changes on their way down: in order, with the cursor, none blocked by another."""

import pytest

from edge.clock import new_id
from edge.settings import Settings
from edge.sync.cloud_client import CloudClient, ReceivedChanges
from edge.sync.pull import Pull, forget_cursor, read_cursor
from shared.catalog import ProductVersion
from tests.fakes.cloud import FakeCloud, Fault
from tests.fakes.sync_gateway import UNLUCKY, SyncGateway
from tests.fakes.until import until


def product(name: str) -> ProductVersion:
    return ProductVersion(product_id=new_id(), version=1, name=name)


@pytest.mark.usefixtures("started")
async def test_the_doorbell_brings_a_change_at_once(gateway: SyncGateway, cloud: FakeCloud) -> None:
    """The poll is 30 s away, so only the doorbell can have brought it."""
    await until(lambda: bool(cloud.doorbells))
    cloud.change(product("Chips"))
    await until(lambda: gateway.products == ["Chips"])


@pytest.mark.usefixtures("started")
async def test_many_changes_come_in_pages_and_in_order(gateway: SyncGateway, cloud: FakeCloud) -> None:
    names = [f"Product {number:03}" for number in range(120)]
    cloud.changes += [product(name).model_dump(mode="json") for name in names]
    cloud.ring()
    await until(lambda: len(gateway.products) == 120)
    assert gateway.products == names


async def test_what_cannot_be_applied_blocks_nothing(gateway: SyncGateway, cloud: FakeCloud) -> None:
    cloud.changes = [
        product("First").model_dump(mode="json"),
        {"kind": "hologram", "depth": 3},
        {"kind": "product", "product_id": "no id"},
        product(UNLUCKY).model_dump(mode="json"),
        product("Last").model_dump(mode="json"),
    ]
    await gateway.agent.claim()
    await gateway.pull.changes()
    assert await gateway.product_names() == ["First", "Last"]
    dead = await gateway.database.read(lambda tx: tx.all("SELECT body, reason FROM dead_changes"))
    assert len(dead) == 3
    assert all(row["reason"] for row in dead)
    assert await gateway.database.read(lambda tx: tx.all("SELECT cursor FROM sync_cursor")[0]["cursor"]) == 5


async def test_the_cursor_is_kept(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await gateway.agent.claim()
    cloud.change(product("Chips"))
    await gateway.pull.changes()
    await gateway.pull.changes()
    assert gateway.products == ["Chips"]


class ForgettingClient(CloudClient):
    """The histories part while the cloud's answer is on its way."""

    gateway: SyncGateway

    async def pull_changes(self, cursor: int | None) -> ReceivedChanges:
        received = await super().pull_changes(cursor)
        await self.gateway.database.unit("test.forget", forget_cursor)
        return received


async def test_a_cursor_forgotten_during_a_pull_stays_forgotten(
    gateway: SyncGateway, cloud: FakeCloud, settings: Settings
) -> None:
    await gateway.agent.claim()
    cloud.change(product("Chips"))
    await gateway.pull.changes()
    client = ForgettingClient(cloud.url, gateway.identity, gateway.clock, settings.cloud_timeout_s, gateway.trust)
    client.gateway = gateway
    pull = Pull(gateway.database, client, gateway.clock, gateway.failpoints, {"product": gateway.apply_product})
    cloud.change(product("Nuts"))
    await pull.changes()
    await client.close()
    assert await gateway.database.read(read_cursor) is None
    await gateway.pull.changes()
    assert gateway.products == ["Chips", "Nuts", "Chips", "Nuts"]
    assert await gateway.database.read(read_cursor) == 2


@pytest.mark.usefixtures("started")
async def test_a_doorbell_that_was_hung_up_is_hung_again(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await until(lambda: bool(cloud.doorbells))
    first = set(cloud.doorbells)
    for doorbell in first:
        doorbell.put_nowait("")
    await until(lambda: bool(cloud.doorbells - first))
    cloud.change(product("Chips"))
    await until(lambda: gateway.products == ["Chips"])


@pytest.mark.usefixtures("started")
async def test_an_answer_that_is_none_changes_nothing(gateway: SyncGateway, cloud: FakeCloud) -> None:
    await until(lambda: bool(cloud.doorbells))
    cloud.faults.extend([Fault.GIBBERISH] * 3)
    cloud.change(product("Chips"))
    await until(lambda: gateway.products == ["Chips"])
