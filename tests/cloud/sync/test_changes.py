"""Changes: numbered in commit order, full when a cursor is absent or out of bounds, rung for at the doorbell."""

import asyncio
from typing import cast
from uuid import UUID

import pytest
from hypercorn.typing import WebsocketScope
from quart.testing.connections import WebsocketDisconnectError
from quart.typing import TestWebsocketConnectionProtocol as Bell

from cloud.auth.service import revoke_gateway
from cloud.clock import Clock
from cloud.database import Transaction
from cloud.inventory import service as inventory
from cloud.onboarding import service as onboarding
from cloud.short_websocket import ShortWebsocket
from shared.inventory import Reason
from shared.sync import ChangeBody, Changes
from tests.cloud.conftest import JSON, World


async def pull(world: World, query: str = "") -> Changes:
    answer = await world.client.get(f"/v1/sync/changes{query}", headers=world.gateway.authorisation())
    assert answer.status_code == 200, await answer.get_data()
    return Changes.model_validate_json(await answer.get_data())


async def rename(world: World, name: str) -> None:
    slot = await world.slot()

    path, headers = f"/v1/catalog/products/{slot.product_id}", world.operator | JSON
    assert (await world.client.patch(path, json={"name": name}, headers=headers)).status_code == 200


async def test_without_a_cursor_the_full_state_comes(world: World) -> None:
    state = await pull(world)
    kinds = [change.kind for change in state.changes]
    assert (state.full, state.more) == (True, False)
    assert {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)} == {
        "machine": 2,
        "product": 12,
        "planogram": 2,
        "expected_device": 2,
        "stock_instruction": 12,
    }


async def test_the_log_from_zero_tells_the_same_as_the_full_state(world: World) -> None:
    full, cursor, more = await pull(world), 0, True
    seen: list[ChangeBody] = []
    while more:
        page = await pull(world, f"?cursor={cursor}&limit=7")
        seen += page.changes
        cursor, more = page.cursor, page.more
    assert cursor == full.cursor
    assert {change.model_dump_json() for change in seen} == {change.model_dump_json() for change in full.changes}


async def test_only_what_moved_since_the_cursor_comes(world: World) -> None:
    cursor = (await pull(world)).cursor
    assert (await pull(world, f"?cursor={cursor}")).changes == ()
    await rename(world, "Peanuts, renamed")
    moved = await pull(world, f"?cursor={cursor}")
    assert [change.model_dump()["name"] for change in moved.changes] == ["Peanuts, renamed"]
    assert moved.cursor == cursor + 1


async def test_a_cursor_too_old_or_from_the_future_gets_the_full_state(world: World) -> None:
    site_id = UUID(world.seeded.site_id)

    async def prune(transaction: Transaction) -> None:
        await onboarding.prune_changes(transaction, site_id, 5)

    await world.do(prune)
    assert (await pull(world, "?cursor=4")).full
    assert not (await pull(world, "?cursor=5")).full
    assert (await pull(world, "?cursor=999999")).full


async def test_a_cursor_that_is_none_is_refused(world: World) -> None:
    for cursor in ("-1", "x", "1.5", "99999999999999999999", "%00"):
        answer = await world.client.get(f"/v1/sync/changes?cursor={cursor}", headers=world.gateway.authorisation())
        assert answer.status_code == 422, cursor


async def test_an_instruction_stays_until_its_fact_has_come(world: World) -> None:
    instruction = next(change for change in (await pull(world)).changes if change.kind == "stock_instruction")
    slot = await world.slot(0, instruction.slot)
    slot.machine_id = instruction.machine_id
    world.gateway.move(slot, instruction.delta, instruction.reason, movement_id=instruction.movement_id)
    await world.acknowledged()
    left = [change for change in (await pull(world)).changes if change.kind == "stock_instruction"]
    assert len(left) == 11
    assert instruction not in left


@pytest.mark.criterion("2.1")
async def test_numbers_rise_in_commit_order_whoever_writes(world: World) -> None:
    """A reader that has seen number n has seen all below it, with 8 writers at once."""
    slot = await world.slot()
    start = (await pull(world)).cursor
    writing = True
    seen: list[int] = []

    async def write() -> None:
        for _ in range(5):

            async def work(transaction: Transaction) -> None:
                moves = [("A1", 1, Reason.RESTOCK), ("A2", 1, Reason.RESTOCK)]
                await inventory.instruct(
                    transaction, world.tenant_id, UUID(world.seeded.site_id), slot.machine_id, moves
                )
                await asyncio.sleep(0.001)

            await world.do(work)

    async def read() -> None:
        while writing or len(seen) < 80:
            last = seen[-1] if seen else start

            async def work(transaction: Transaction) -> list[tuple[int, str]]:
                return await onboarding.changes_since(transaction, UUID(world.seeded.site_id), last, 100)  # noqa: B023

            seen.extend(number for number, _ in await world.do(work))
            await asyncio.sleep(0)

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write() for _ in range(8)))
    writing = False
    await reader
    assert seen == list(range(start + 1, start + 81))


async def test_the_doorbell_rings_at_once_and_for_each_change(world: World) -> None:
    async with world.client.websocket("/v1/sync/doorbell", headers=world.gateway.authorisation()) as bell:
        async with asyncio.timeout(10):
            assert await bell.receive() == "pull"
            await rename(world, "Renamed")
            assert await bell.receive() == "pull"


async def drain(bell: Bell) -> None:
    while True:
        await bell.receive()


async def test_the_doorbell_hangs_up_on_a_revoked_gateway(world: World) -> None:
    assert world.gateway.claimed is not None
    gateway_id = world.gateway.claimed.gateway_id

    async def revoke(transaction: Transaction) -> None:
        await revoke_gateway(transaction, gateway_id, Clock().now())

    async with world.client.websocket("/v1/sync/doorbell", headers=world.gateway.authorisation()) as bell:
        async with asyncio.timeout(10):
            assert await bell.receive() == "pull"
            await world.do(revoke)
            with pytest.raises(WebsocketDisconnectError):
                await drain(bell)


async def test_the_doorbell_opens_to_nobody_else(world: World) -> None:
    async with world.client.websocket("/v1/sync/doorbell", headers=world.operator) as bell:
        with pytest.raises(Exception, match="401"):
            await bell.receive()


async def hung_up(bell: Bell) -> int:
    with pytest.raises(WebsocketDisconnectError) as closed:
        async with asyncio.timeout(10):
            await drain(bell)
    return int(closed.value.args[0])


async def test_the_doorbell_hangs_up_on_who_speaks(world: World) -> None:
    async with world.client.websocket("/v1/sync/doorbell", headers=world.gateway.authorisation()) as bell:
        assert await bell.receive() == "pull"
        await bell.send("hello")
        assert await hung_up(bell) == 1008


async def test_a_newer_doorbell_ends_the_older_one(world: World) -> None:
    headers = world.gateway.authorisation()
    async with world.client.websocket("/v1/sync/doorbell", headers=headers) as older:
        assert await older.receive() == "pull"
        async with world.client.websocket("/v1/sync/doorbell", headers=headers) as newer:
            assert await newer.receive() == "pull"
            assert await hung_up(older) == 1008
            await rename(world, "Renamed")
            async with asyncio.timeout(10):
                assert await newer.receive() == "pull"


async def test_what_nobody_reads_is_not_kept(world: World) -> None:
    line = ShortWebsocket(world.app, cast(WebsocketScope, {"type": "websocket"}))
    async with asyncio.timeout(10):
        for _ in range(1000):
            await line.queue.put(b"x" * 1024)
    assert line.queue.qsize() == 1
