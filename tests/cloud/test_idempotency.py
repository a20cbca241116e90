"""Requests that take effect once: the same key, the same answer."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from quart import Response

from cloud.auth.keys import create_key
from cloud.callers import Actor, ActorKind
from cloud.clock import Clock
from cloud.database import Transaction
from cloud.jobs import Keeper
from cloud.permissions import Permission
from tests.cloud.auth.conftest import admin, office
from tests.cloud.conftest import JSON, World
from tests.fakes.cloud_people import Office, PersonAtCloud

__all__ = ["admin", "office"]

PRODUCTS = "/v1/catalog/products"


async def create(
    world: World, key: object, name: str = "Ginger Tea", headers: dict[str, str] | None = None
) -> Response:
    told = (headers or world.operator) | JSON | {"Idempotency-Key": str(key)}
    return await world.client.post(PRODUCTS, json={"name": name}, headers=told)


async def named(world: World, name: str) -> int:
    return len(await world.rows("SELECT 1 FROM products WHERE name = $1", name))


@pytest.mark.criterion("5.1")
async def test_the_same_key_gives_the_same_answer_and_takes_effect_once(world: World) -> None:
    key = uuid4()
    first, again = await create(world, key), await create(world, key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert await first.get_data() == await again.get_data()
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    assert await named(world, "Ginger Tea") == 1
    other = await create(world, key, "Other Tea")
    assert (other.status_code, (await other.get_json())["code"]) == (422, "idempotency_key_reused")
    elsewhere = await world.client.post(
        f"/v1/machines/{world.seeded.machines[0].machine_id}/stock",
        json={"moves": [{"slot": "A1", "delta": 1, "reason": "restock"}]},
        headers=world.operator | JSON | {"Idempotency-Key": str(key)},
    )
    assert elsewhere.status_code == 422
    assert await named(world, "Other Tea") == 0


@pytest.mark.criterion("5.1")
async def test_of_many_at_the_same_time_one_does_the_work(world: World) -> None:
    key = uuid4()
    answers = await asyncio.gather(*(create(world, key) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({await answer.get_data(as_text=True) for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert await named(world, "Ginger Tea") == 1


@pytest.mark.criterion("5.1")
async def test_without_a_key_nothing_is_done(world: World) -> None:
    for key in ("", "not-an-id", "1"):
        answer = await create(world, key)
        assert (answer.status_code, (await answer.get_json())["code"]) == (400, "idempotency_key_missing")
    assert await named(world, "Ginger Tea") == 0


async def test_what_was_refused_may_be_sent_again_with_the_same_key(world: World) -> None:
    key, path = uuid4(), f"/v1/machines/{world.seeded.machines[0].machine_id}/stock"
    headers = world.operator | JSON | {"Idempotency-Key": str(key)}
    bodies: list[dict[str, Any]] = [{"slot": "Z9"}, {"slot": "A1"}]
    answers = [
        await world.client.post(path, json={"moves": [slot | {"delta": 2, "reason": "restock"}]}, headers=headers)
        for slot in bodies
    ]
    assert [answer.status_code for answer in answers] == [422, 201]


async def test_keys_of_one_caller_are_nothing_to_another(world: World) -> None:
    async def work(transaction: Transaction) -> str:
        maker, scopes = Actor(ActorKind.SYSTEM, world.tenant_id, "test"), [Permission.CATALOG_WRITE]
        life = timedelta(days=1)
        made = await create_key(transaction, world.tenant_id, maker, "second", scopes, Clock().now(), life)
        return made.secret

    second, key = {"Authorization": f"Bearer {await world.do(work)}"}, uuid4()
    answers = [await create(world, key), await create(world, key, headers=second)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert await named(world, "Ginger Tea") == 2


@pytest.mark.criterion("1.4")
@pytest.mark.parametrize("lost", [{"role": "technician"}, {"role": "operator", "machines": ["Drinks"]}])
async def test_who_has_lost_a_right_is_not_given_the_answer_again(
    world: World, office: Office, admin: PersonAtCloud, lost: dict[str, Any]
) -> None:
    person, key = await office.invited(admin, "ora@larder.example", "operator"), {"Idempotency-Key": str(uuid4())}
    await person.sign_in()
    moves = {"moves": [{"slot": "A1", "delta": 1, "reason": "restock"}]}
    path = f"/v1/machines/{world.seeded.machines[0].machine_id}/stock"
    assert (await person.ask("POST", path, json=moves, headers=key)).status_code == 201
    assert (await person.ask("POST", path, json=moves, headers=key)).status_code == 201
    me = (await (await person.get("/v1/me")).get_json())["id"]
    if "machines" in lost:
        lost = lost | {"machines": [world.seeded.machines[1].machine_id]}
    await admin.ask("PATCH", f"/v1/users/{me}", json=lost)
    again = await person.ask("POST", path, json=moves, headers=key)
    assert (again.status_code, (await again.get_json())["code"]) == (422, "idempotency_key_reused")


async def test_answers_are_forgotten_in_time_for_all_tenants_and_not_before(world: World) -> None:
    old, new = uuid4(), uuid4()
    await create(world, old)
    await create(world, new)
    age = "INSERT INTO kept_answers SELECT tenant_id, actor_id, $2, request_sha256, status, body, now() - $3::interval"
    for key, days in ((UUID(int=1), 3), (UUID(int=2), 1)):
        await world.rows(f"{age} FROM kept_answers WHERE key = $1", old, key, timedelta(days=days))
    assert await Keeper(world.database, Clock()).forget_expired() == 1
    kept = {row["key"] for row in await world.rows("SELECT key FROM kept_answers")}
    assert kept == {old, new, UUID(int=2)}
