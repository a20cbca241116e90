"""A program of an integrator against the real server, over real sockets."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from cloud.auth.keys import KeyCreated, create_key
from cloud.bounded_app import BoundedApp
from cloud.callers import Actor, ActorKind
from cloud.clock import Clock
from cloud.database import Transaction
from cloud.permissions import Permission
from cloud.rates import Rate
from tests.cloud.conftest import World
from tests.fakes.served import on_a_port

NOBODY = UUID(int=7)


class Program:
    """What it does with the client, and which answers came."""

    def __init__(self, larder: Any, port: int, key: str, sleep: Callable[[float], None]) -> None:
        self.statuses: list[int] = []
        http = httpx.Client(event_hooks={"response": [lambda response: self.statuses.append(response.status_code)]})
        self.client = larder.Client(f"http://127.0.0.1:{port}", key, http=http, sleep=sleep)


async def run(world: World, larder: Any, do: Callable[[Program], None], key: str = "") -> list[int]:
    """Does it in a thread, as a program of its own; waits lift the limits instead. The statuses that came."""

    async with on_a_port(world.app) as port:
        program = Program(larder, port, key or world.seeded.api_key, lambda _: relax(world))
        with program.client:
            await asyncio.to_thread(do, program)
    return program.statuses


def limit(world: World, rate: Rate) -> None:
    assert isinstance(world.app, BoundedApp)
    live = world.app.live
    live.swap(live.now.model_copy(update={"rate_actor": rate}))


def relax(world: World) -> None:
    limit(world, Rate(100_000, 1))


async def sold(world: World, count: int) -> None:
    slot = await world.slot()
    for _ in range(count):
        world.gateway.sell(slot)
    await world.acknowledged()


@pytest.mark.criterion("5.5")
async def test_lists_are_read_to_their_end_and_files_as_they_come(world: World, larder: Any, tmp_path: Path) -> None:
    def do(program: Program) -> None:
        orders = program.client.orders
        placed = [order.order_id for order in orders.list(limit=2)]
        assert len(set(placed)) == 5
        assert program.statuses == [200, 200, 200]
        first = next(orders.list(limit=2).pages())
        assert [order.order_id for order in orders.list(limit=2, cursor=first.next_cursor)] == placed[2:]
        state, free = larder.models.OrderState.SETTLED, larder.models.Rail.FREE
        cut = list(
            orders.list(state=state, rail=free, fields=["order_id"], placed_from=orders.show(placed[4]).placed_at)
        )
        assert [(order.order_id, order.state) for order in cut] == [(order_id, None) for order_id in placed]
        with orders.export(format=larder.models.ExportFormat.NDJSON) as file:
            assert [order_id in line for order_id, line in zip(map(str, placed), file.lines(), strict=True)] == [
                True
            ] * 5
        with orders.export(format=larder.models.ExportFormat.CSV) as file:
            assert file.save(tmp_path / "orders.csv") == (tmp_path / "orders.csv").stat().st_size
        assert (tmp_path / "orders.csv").read_text().count("\n") == 6

    await sold(world, 5)
    await run(world, larder, do)


@pytest.mark.criterion("5.5")
async def test_nothing_is_sent_twice_and_nothing_unseen_overwritten(world: World, larder: Any) -> None:
    site_id = UUID(world.seeded.site_id)

    def do(program: Program) -> None:
        sites, models = program.client.sites, larder.models
        seen = sites.show(site_id)
        assert sites.show(site_id) == seen
        assert sites.show(site_id).etag == seen.etag
        sites.edit(site_id, models.SiteEdit(name="Station"), if_match=seen.etag)
        with pytest.raises(larder.problems.PreconditionFailed):
            sites.edit(site_id, models.SiteEdit(name="Harbour"), if_match=seen.etag)
        assert sites.show(site_id).name == "Station"
        key, wish = uuid4(), models.ProductWish(name="Ginger Tea")
        first = program.client.catalog.create_product(wish, idempotency_key=key)
        assert program.client.catalog.create_product(wish, idempotency_key=key) == first
        with pytest.raises(larder.problems.IdempotencyKeyReused):
            program.client.catalog.create_product(models.ProductWish(name="Other Tea"), idempotency_key=key)
        assert [row.name for row in program.client.catalog.list_products()].count("Ginger Tea") == 1

    statuses = await run(world, larder, do)
    assert statuses == [200, 304, 304, 200, 412, 200, 201, 201, 422, 200]


@pytest.mark.criterion("5.2")
async def test_refusals_have_types(world: World, larder: Any) -> None:
    problems = larder.problems

    def do(program: Program) -> None:
        client = program.client
        with pytest.raises(problems.NotFound) as unknown:
            client.orders.show(NOBODY)
        assert (unknown.value.status, unknown.value.code) == (404, "not_found")
        assert unknown.value.request_id
        with pytest.raises(problems.Forbidden, match="users:read"):
            list(client.users.list())
        with pytest.raises(problems.ValidationFailed) as wrong:
            list(client.orders.list(limit=500))
        assert [error.path for error in wrong.value.errors] == ["limit"]
        assert client.me.show_who_asks().permissions == (larder.models.Permission.ORDERS_READ,)

    maker, life = Actor(ActorKind.SYSTEM, NOBODY, "test"), timedelta(days=1)

    async def make(transaction: Transaction) -> KeyCreated:
        scopes = [Permission.ORDERS_READ]
        return await create_key(transaction, world.tenant_id, maker, "Reader", scopes, Clock().now(), life)

    secret = (await world.do(make)).secret
    await run(world, larder, do, secret)
    with pytest.raises(problems.Unauthenticated):
        await run(world, larder, lambda program: program.client.me.show_who_asks(), "no key")


@pytest.mark.criterion("5.3")
async def test_whoever_asks_too_often_waits_and_is_answered(world: World, larder: Any) -> None:
    def do(program: Program) -> None:
        for _ in range(3):
            program.client.machines.show(UUID(world.seeded.machines[0].machine_id))

    limit(world, Rate(2, 30))
    assert await run(world, larder, do) == [200, 304, 429, 304]
