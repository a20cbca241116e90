"""One box finds what has a name by how its words begin, within all walls."""

import re
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from cloud.database import Transaction
from cloud.permissions import Permission
from cloud.search.rules import MAX_WORDS, id_range, picked
from cloud.search.service import MOST, FoundGroup, Kind, search
from tests.cloud.auth.conftest import admin, office
from tests.cloud.conftest import World
from tests.cloud.rival import rival_of
from tests.fakes.cloud_people import Office, PersonAtCloud

__all__ = ["admin", "office"]


def test_only_eight_digits_or_more_begin_an_id() -> None:
    assert id_range("0192abc") is None
    assert id_range("machines") is None
    assert id_range("0" * 33) is None
    assert id_range(" 0192ABCD-12 ") == (
        UUID("0192abcd-1200-0000-0000-000000000000"),
        UUID("0192abcd-12ff-ffff-ffff-ffffffffffff"),
    )


def test_the_longest_word_is_looked_for_first() -> None:
    assert picked(["of", "canteen", "second"]) == ["canteen", "second", "of"]
    assert len(picked([str(n) for n in range(50)])) == MAX_WORDS


async def found(world: World, text: str, headers: dict[str, str] | None = None, more: str = "") -> dict[str, Any]:
    """What a program finds: names by kind."""
    answer = await world.client.get(f"/v1/search?q={quote(text)}{more}", headers=headers or world.operator)
    assert answer.status_code == 200, await answer.get_data()
    groups = (await answer.get_json())["groups"]
    return {group["kind"]: [one["name"] for one in group["found"]] for group in groups}


async def rename(world: World, machine: int, name: str) -> UUID:
    machine_id = UUID(world.seeded.machines[machine].machine_id)
    await world.rows("UPDATE machines SET name = $2 WHERE id = $1", machine_id, name)
    return machine_id


async def test_names_are_found_by_how_their_words_begin(world: World) -> None:
    await rename(world, 0, "Éclair-Bar on the SECOND floor")
    for text in ("éclair", "ÉCL", "bar", "sec flo", "floor, second!", "éclair-bar"):
        assert (await found(world, text))["machine"] == ["Éclair-Bar on the SECOND floor"], text
    for text in ("cond", "second basement", "%", "'", "_"):
        assert await found(world, text) == {}, text
    await rename(world, 0, "Lobby")
    assert await found(world, "éclair") == {}
    assert (await found(world, "lob"))["machine"] == ["Lobby"]


async def test_each_kind_is_found_and_ids_by_their_beginning(world: World) -> None:
    order_id = world.gateway.sell(await world.slot())
    await world.acknowledged()
    machine_id = UUID(world.seeded.machines[0].machine_id)
    await world.rows("UPDATE sites SET name = 'Zebra site'")
    await world.rows("UPDATE gateways SET name = 'Zebra gateway'")
    await world.rows("UPDATE devices SET name = 'Zebra board' WHERE machine_id = $1", machine_id)
    await world.rows("UPDATE products SET name = 'Zebra drink' WHERE id = $1", (await world.slot()).product_id)
    name = "Zebra machine"
    await rename(world, 0, name)
    assert await found(world, "zebra") == {
        "machine": [name],
        "site": ["Zebra site"],
        "gateway": ["Zebra gateway"],
        "device": ["Zebra board"],
        "product": ["Zebra drink"],
    }
    assert await found(world, f"{order_id.hex[:20]}") == {"order": [name]}
    assert await found(world, str(machine_id)) == {"machine": [name]}
    assert list(await found(world, world.seeded.email)) == ["user"]
    for text, status in (("", 422), ("x" * 201, 422), ("%00", 422), ("%2C", 200)):
        assert (await world.client.get(f"/v1/search?q={text}", headers=world.operator)).status_code == status, text


@pytest.mark.criterion("1.3")
async def test_nobody_finds_what_they_may_not_see(world: World, office: Office, admin: PersonAtCloud) -> None:
    rival = await rival_of(world)
    for text in ("rival", str(rival.order_id), str(rival.slot.machine_id)):
        assert await found(world, text, rival.headers) != {}
        assert await found(world, text) == {}, text

    ours, theirs = await rename(world, 0, "Zebra one"), await rename(world, 1, "Zebra two")
    technician = await office.invited(admin, "tina@larder.example", "technician", machines=[str(ours)])
    await technician.sign_in()
    for path in ("/v1/search?q=zebra", f"/v1/search?q={theirs}", f"/v1/search?q={world.seeded.email}"):
        shown = await (await technician.get(path)).get_data(as_text=True)
        assert "Zebra two" not in shown
        assert world.seeded.email not in shown
    assert "Zebra one" in await (await technician.get("/search?q=zebra")).get_data(as_text=True)

    async def with_few(transaction: Transaction) -> tuple[FoundGroup, ...]:
        return await search(transaction, frozenset({Permission.DEVICES_READ}), "zebra", 10)

    assert await world.do(with_few) == ()


async def test_many_are_counted_up_to_an_end(world: World) -> None:
    async def fill(transaction: Transaction) -> tuple[FoundGroup, ...]:
        await transaction.execute(
            "INSERT INTO products (tenant_id, id, name) SELECT current_tenant(), gen_random_uuid(), 'Zebra zest ' || n"
            " FROM generate_series(1, $1::integer) AS s (n)",
            MOST + 1,
        )
        return await search(transaction, frozenset(Permission), "zebra", 3)

    (group,) = await world.do(fill)
    assert (group.kind, group.count, group.is_more, len(group.found)) == (Kind.PRODUCT, MOST, True, 3)
    assert len((await found(world, "zebra zest 7", more="&limit=5"))["product"]) == 5
    assert await found(world, "zebra zest 77") == {"product": ["Zebra zest 77"]}


async def test_the_page_tells_what_was_found_or_how_to_look(world: World, admin: PersonAtCloud) -> None:
    machine_id = await rename(world, 0, "Lobby <b>& bar")

    async def page(path: str) -> str:
        answer = await admin.ask("GET", path, headers={"Accept": "text/html"})
        assert answer.status_code == 200
        return str(await answer.get_data(as_text=True))

    assert "What are you looking for?" in await page("/search")
    assert "Nothing is called “&lt;qq&gt;”." in await page("/search?q=%3Cqq%3E")
    shown = await page("/search?q=lobby+bar")
    assert "Lobby &lt;b&gt;&amp; bar" in shown
    assert f'href="/orders?machine_id={machine_id}"' in shown
    assert re.search(r'href="#found-machine">Machines <span class="badge">1</span>', shown)
    assert 'value="lobby bar"' in shown
    assert 'action="/search"' in await page("/orders"), "the box of every page leads here"
