"""A gateway hears again what it has told: its own facts, in order, and nothing twice when it tells them anew."""

import gzip

import pytest

from cloud.clock import new_id
from shared.inventory import Reason
from shared.payments import CreditInserted
from shared.sync import RecalledHeader
from tests.cloud.conftest import World
from tests.fakes.gateway_client import GatewayClient

COUNTS = "SELECT (SELECT count(*) FROM dead_letters) AS dead, (SELECT sum(quantity) FROM stock) AS stock"


async def told(
    world: World, epoch: int = 0, after: int = 0, before: int = 9, limit: int = 500
) -> tuple[RecalledHeader, list[bytes]]:
    """What the cloud reads back."""
    query = f"?epoch={epoch}&after={after}&before_epoch={before}&limit={limit}"
    answer = await world.client.get(f"/v1/sync/facts{query}", headers=world.gateway.authorisation())
    assert answer.status_code == 200, await answer.get_data()
    assert answer.headers["Content-Encoding"] == "gzip"
    body = await answer.get_data(as_text=False)
    first, *lines = gzip.decompress(body).splitlines()
    return RecalledHeader.model_validate_json(first), lines


@pytest.mark.criterion("8.1")
async def test_all_facts_come_back_as_they_were_told(world: World) -> None:
    gateway, slot = world.gateway, await world.slot()
    gateway.sell(slot)
    await world.acknowledged()
    first = list(gateway.lines)
    gateway.begin_epoch(2)
    gateway.sell(slot)
    await world.acknowledged()
    assert await told(world, limit=4) == (RecalledHeader(epoch=1, count=4, more=True), first[:4])
    assert await told(world, 1, 4) == (RecalledHeader(epoch=1, count=len(first) - 4, more=True), first[4:])
    assert await told(world, 1, 4, before=2) == (RecalledHeader(epoch=1, count=len(first) - 4, more=False), first[4:])
    second = gateway.lines
    assert await told(world, 1, len(first)) == (RecalledHeader(epoch=2, count=len(second), more=False), second)
    assert await told(world, 2, len(second)) == (RecalledHeader(epoch=0, count=0, more=False), [])


async def test_nobody_hears_what_another_gateway_told(world: World) -> None:
    world.gateway.sell(await world.slot())
    await world.acknowledged()
    sql = "INSERT INTO facts (tenant_id, gateway_id, epoch, seq, event, line, hash) VALUES ($1, $2, 1, 1, 'x', $3, $3)"
    await world.do(lambda unit: unit.execute(sql, world.tenant_id, new_id(), b"of another gateway of the tenant"))
    assert (await told(world))[1] == world.gateway.lines
    world.gateway = GatewayClient(claimed=world.gateway.claimed)
    forged = world.gateway.authorisation()
    answer = await world.client.get("/v1/sync/facts?epoch=0&after=0&before_epoch=9", headers=forged)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "query", ["", "?epoch=1", "?epoch=-1&after=0&before_epoch=2", "?epoch=1&after=x&before_epoch=2"]
)
async def test_a_wish_that_names_no_place_is_refused(world: World, query: str) -> None:
    answer = await world.client.get(f"/v1/sync/facts{query}", headers=world.gateway.authorisation())
    assert answer.status_code == 422


@pytest.mark.criterion("8.3")
async def test_a_movement_and_a_coin_told_again_count_once(world: World) -> None:
    """A restored gateway carries out an instruction, or hears of a coin, that it no longer knows it had told."""
    gateway, slot, movement, coin = world.gateway, await world.slot(), new_id(), new_id()
    before = (await world.rows(COUNTS))[0]["stock"] or 0

    def tell() -> None:
        gateway.move(slot, 5, Reason.RESTOCK, movement_id=movement)
        machine, device = slot.machine_id, slot.device_id
        gateway.add(
            CreditInserted(credit_id=coin, machine_id=machine, device_id=device, amount_minor=1000, currency="INR")
        )

    tell()
    tell()
    gateway.move(slot, 1, Reason.COUNT)
    await world.acknowledged()
    gateway.begin_epoch(2)
    tell()
    await world.acknowledged()
    assert await world.rows(COUNTS) == [{"dead": 0, "stock": before + 6}]
    assert await world.rows("SELECT sum(amount_minor)::integer AS inserted FROM credits") == [{"inserted": 1000}]
