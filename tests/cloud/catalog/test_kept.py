"""What is read of the catalogue is kept: until it changes, by whatever way, and for nobody but who may see it."""

import asyncio
from typing import Any, TypeVar

import asyncpg
import pytest

from cloud.cache import OLDEST_SECONDS
from cloud.clock import new_id
from cloud.database import Database, Work, credentials
from cloud.failpoints import Failpoints
from cloud.permissions import Role
from tests.cloud.auth.conftest import office  # noqa: F401  fixture
from tests.cloud.conftest import Server, World
from tests.fakes.cloud_people import Office
from tests.fakes.postgres_cloud import cloud_app

T = TypeVar("T")

PRODUCTS, MACHINES = "/v1/catalog/products", "/v1/machines"
LISTENING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


async def names(world: World, path: str = PRODUCTS) -> list[str]:
    answer = await world.client.get(path, headers=world.operator)
    rows = (await answer.get_json())[path.rsplit("/", 1)[1]]
    return [row["name"] for row in rows]


async def renamed_in_silence(world: World, server: Server) -> None:
    """As nobody can but a superuser who switches triggers off: what is kept shows."""
    name = str(credentials(world.url)["database"])
    superuser = await asyncpg.connect(**credentials(server.postgres.url("postgres", name)))
    await superuser.execute("SET session_replication_role = replica")
    await superuser.execute("UPDATE products SET name = 'Unheard' WHERE name = 'Salted Peanuts 50 g'")
    await superuser.close()


async def test_it_is_read_once_until_something_of_the_tenant_changes(world: World, server: Server) -> None:
    before = await names(world)
    await renamed_in_silence(world, server)
    assert await names(world) == before
    await world.rows("UPDATE machines SET name = name")

    async with asyncio.timeout(OLDEST_SECONDS - 1):
        while "Unheard" not in await names(world):
            pass


async def test_your_own_change_is_in_your_next_read(world: World) -> None:
    before = await names(world)
    key = {"Idempotency-Key": str(new_id())}
    made = await world.client.post(PRODUCTS, json={"name": "Ahead of all"}, headers=world.operator | key)
    assert await names(world) == ["Ahead of all", *before]
    path = f"{PRODUCTS}/{(await made.get_json())['product_id']}"
    assert (await (await world.client.get(path, headers=world.operator)).get_json())["name"] == "Ahead of all"
    await world.client.patch(path, json={"name": "At the front"}, headers=world.operator)
    assert (await (await world.client.get(path, headers=world.operator)).get_json())["name"] == "At the front"
    assert "At the front" in await names(world)


async def test_what_others_write_is_heard(world: World) -> None:
    machine = f"{MACHINES}/{world.seeded.machines[0].machine_id}"
    assert (await (await world.client.get(machine, headers=world.operator)).get_json())["name"] == "Snacks"
    assert "Snacks" in await names(world, MACHINES)
    await world.rows("UPDATE machines SET name = 'Renamed by hand' WHERE name = 'Snacks'")

    async with asyncio.timeout(OLDEST_SECONDS - 1):
        while "Renamed by hand" not in await names(world, MACHINES):
            pass
    assert (await (await world.client.get(machine, headers=world.operator)).get_json())["name"] == "Renamed by hand"


@pytest.mark.criterion("1.4")
async def test_who_sees_a_part_is_not_given_what_was_kept_for_who_sees_all(world: World, office: Office) -> None:  # noqa: F811
    owner = await office.owner(world.tenant_id)
    machine = world.seeded.machines[1].machine_id
    technician = await office.invited(owner, "route@staff.example", Role.TECHNICIAN, machines=[machine])
    await technician.sign_in()
    assert len(await names(world, MACHINES)) == 2

    async def seen(person: Any) -> list[str]:
        answer = await person.ask("GET", MACHINES)
        return [row["machine_id"] for row in (await answer.get_json())["machines"]]

    assert await seen(technician) == [machine]
    assert len(await seen(owner)) == 2
    assert await seen(technician) == [machine]


class Lingering(Database):
    """What a unit has read comes late, if it is told so."""

    def __init__(self, url: str) -> None:
        super().__init__(url, Failpoints(), pool_size=2)
        self.has_read, self.go = asyncio.Event(), asyncio.Event()

    async def unit(self, name: str, work: Work[T], **whose: Any) -> T:
        found = await super().unit(name, work, **whose)
        if name == "catalog.products" and not self.go.is_set():
            self.has_read.set()
            await self.go.wait()
        return found


async def test_what_was_read_before_another_instance_changed_it_is_not_kept(world: World) -> None:
    slow = Lingering(world.url)
    async with cloud_app(world.url, asyncio.Event(), database=slow).test_app() as beside:
        client = beside.test_client()

        async def read(path: str) -> str:
            return await (await client.get(path, headers=world.operator)).get_data(as_text=True)

        async with asyncio.timeout(10):
            while len(await world.rows(LISTENING)) < 2:
                pass
        late = asyncio.create_task(read(PRODUCTS))
        await slow.has_read.wait()
        key = {"Idempotency-Key": str(new_id())}
        await world.client.post(PRODUCTS, json={"name": "Late news"}, headers=world.operator | key)
        await world.rows("UPDATE machines SET name = 'Heard' WHERE name = 'Snacks'")
        async with asyncio.timeout(OLDEST_SECONDS - 1):
            while "Heard" not in await read(MACHINES):
                pass
        slow.go.set()
        assert "Late news" not in await late
        assert "Late news" in await read(PRODUCTS)
