"""API keys: what they may do, how they are rotated, and the short tokens made with them."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from cloud.permissions import Permission
from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud


async def created(person: PersonAtCloud, name: str = "reports", *scopes: str) -> dict[str, Any]:
    wish = {"name": name, "scopes": list(scopes or ("orders:read",))}
    answer = await person.ask("POST", "/v1/api-keys", json=wish)
    assert answer.status_code == 201, await answer.get_data()
    return dict(await answer.get_json())


async def status(world: World, secret: str, path: str = "/v1/orders") -> int:
    return (await world.client.get(path, headers={"Authorization": f"Bearer {secret}"})).status_code


async def token(world: World, bearer: str = "", **form: str) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    answer = await world.client.post("/v1/oauth/token", form=form, headers=headers)
    return answer.status_code, dict(await answer.get_json())


@pytest.mark.criterion("1.2")
async def test_a_key_may_do_what_its_scopes_say(world: World, admin: PersonAtCloud) -> None:
    key = await created(admin)
    assert await status(world, key["secret"]) == 200
    assert await status(world, key["secret"], "/v1/inventory") == 403
    assert await status(world, key["secret"], "/v1/me") == 200
    listed = (await (await admin.get("/v1/api-keys")).get_json())["api_keys"]
    (row,) = [row for row in listed if row["key_id"] == key["key_id"]]
    assert key["secret"].startswith(row["prefix"])
    assert (row["created_by"], row["last_used_at"] is None) == ("Demo Admin", False)
    assert key["secret"] not in str(listed)


async def test_nobody_gives_a_key_more_than_they_have(world: World, office: Office, admin: PersonAtCloud) -> None:
    key = await created(admin, "keymaker", "keys:write", "orders:read")
    maker = {"Authorization": f"Bearer {key['secret']}"}
    for scopes, expected in ((["orders:read"], 201), (["orders:read", "users:write"], 403)):
        wish = {"name": "made", "scopes": scopes}
        answer = await world.client.post("/v1/api-keys", json=wish, headers=maker | {"Idempotency-Key": str(uuid4())})
        assert answer.status_code == expected
    viewer = await office.invited(admin, "vera@larder.example", "viewer")
    await viewer.sign_in()
    assert (await viewer.ask("POST", "/v1/api-keys", json={"name": "x", "scopes": ["orders:read"]})).status_code == 403
    answer = await admin.ask("POST", "/v1/api-keys", json={"name": "x", "scopes": ["no:such"]})
    assert answer.status_code == 422


async def test_a_key_is_rotated_with_two_alive(world: World, admin: PersonAtCloud) -> None:
    old = await created(admin)
    path = f"/v1/api-keys/{old['key_id']}"
    new = await (await admin.ask("POST", f"{path}/rotation")).get_json()
    assert (new["name"], new["scopes"]) == (old["name"], old["scopes"])
    assert (await admin.ask("POST", f"{path}/rotation")).status_code == 409
    assert [await status(world, key["secret"]) for key in (old, new)] == [200, 200]
    assert (await admin.ask("DELETE", path)).status_code == 200
    assert [await status(world, key["secret"]) for key in (old, new)] == [401, 200]
    assert (await admin.ask("DELETE", path)).status_code == 404


async def test_never_three_of_a_name_however_many_ask_at_once(world: World, admin: PersonAtCloud) -> None:
    wish = {"name": "reports", "scopes": ["orders:read"]}
    answers = await asyncio.gather(*(admin.ask("POST", "/v1/api-keys", json=wish) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]


async def test_a_key_ends(world: World, admin: PersonAtCloud) -> None:
    key = await created(admin)
    assert await status(world, key["secret"]) == 200
    await world.rows("UPDATE api_keys SET expires_at = now() WHERE name = 'reports'")
    await world.refused("/v1/orders", {"Authorization": f"Bearer {key['secret']}"})


@pytest.mark.criterion("1.2")
async def test_a_key_is_exchanged_for_short_tokens(world: World, admin: PersonAtCloud) -> None:
    key = await created(admin, "reports", "orders:read", "inventory:read")
    code, granted = await token(world, key["secret"], grant_type="client_credentials", scope="orders:read")
    assert (code, granted["token_type"], granted["expires_in"], granted["scope"]) == (200, "Bearer", 300, "orders:read")
    assert await status(world, granted["access_token"]) == 200
    assert await status(world, granted["access_token"], "/v1/inventory") == 403
    assert await status(world, granted["refresh_token"]) == 401
    code, _ = await token(world, granted["access_token"], grant_type="client_credentials")
    assert code == 401, "a token made tokens, so that one stolen would never end"
    code, _ = await token(world, key["secret"], grant_type="client_credentials", scope="orders:read users:write")
    assert code == 400
    await world.rows("UPDATE access_tokens SET expires_at = now() WHERE kind = 'access'")
    await world.refused("/v1/orders", {"Authorization": f"Bearer {granted['access_token']}"})
    code, renewed = await token(world, grant_type="refresh_token", refresh_token=granted["refresh_token"])
    assert code == 200
    assert await status(world, renewed["access_token"]) == 200


async def test_a_refresh_token_shown_twice_ends_its_whole_family(world: World, admin: PersonAtCloud) -> None:
    key = await created(admin)
    _, first = await token(world, key["secret"], grant_type="client_credentials")
    _, other = await token(world, key["secret"], grant_type="client_credentials")
    _, second = await token(world, grant_type="refresh_token", refresh_token=first["refresh_token"])
    code, _ = await token(world, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert code == 401
    assert await status(world, second["access_token"]) == 401
    code, _ = await token(world, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert code == 401
    assert await status(world, other["access_token"]) == 200, "another family ended too"


async def test_tokens_end_with_their_key(world: World, admin: PersonAtCloud) -> None:
    key = await created(admin)
    _, granted = await token(world, key["secret"], grant_type="client_credentials")
    await admin.ask("DELETE", f"/v1/api-keys/{key['key_id']}")
    assert await status(world, granted["access_token"]) == 401
    code, _ = await token(world, grant_type="refresh_token", refresh_token=granted["refresh_token"])
    assert code == 401


@pytest.mark.parametrize("form", [{}, {"grant_type": "password"}, {"grant_type": "refresh_token"}])
async def test_no_grant_no_token(world: World, form: dict[str, str]) -> None:
    code, problem = await token(world, **form)
    assert code in {400, 401}
    assert "code" in problem


@pytest.mark.criterion("1.4")
async def test_firmware_asks_a_person_for_a_fresh_second_factor(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    path = f"/v1/releases/{'0' * 64}"
    answer = await admin.ask("DELETE", path)
    assert (answer.status_code, (await answer.get_json())["code"]) == (403, "second_factor_required")
    await office.with_second_factor(admin)
    assert (await admin.ask("DELETE", path)).status_code == 404
    await world.rows("UPDATE sessions SET second_factor_at = now() - interval '16 minutes'")
    assert (await admin.ask("DELETE", path)).status_code == 403
    assert (await admin.get("/v1/orders")).status_code == 200
    answer = await admin.ask("POST", "/v1/api-keys", json={"name": "x", "scopes": [Permission.FIRMWARE_WRITE]})
    assert answer.status_code == 403, "a key got what its maker had not shown the second factor for"


@pytest.mark.criterion("5.1")
async def test_who_lost_the_answer_gets_the_secret_again_and_no_second_key(world: World, admin: PersonAtCloud) -> None:
    once, wish = {"Idempotency-Key": str(uuid4())}, {"name": "reports", "scopes": ["orders:read"]}
    answers = [await admin.ask("POST", "/v1/api-keys", json=wish, headers=once) for _ in range(2)]
    first, again = [await answer.get_json() for answer in answers]
    assert first == again
    assert len(await world.rows("SELECT FROM api_keys WHERE name = 'reports'")) == 1
    (kept,) = await world.rows("SELECT body FROM kept_answers")
    assert first["secret"] not in kept["body"]
    assert kept["body"].startswith("test.gAAAA")


async def test_a_page_is_for_people(world: World) -> None:
    """What a key made there, its program would never see."""
    answers = [await world.client.get(path, headers=world.operator) for path in ("/keys", "/users")]
    answers.append(await world.client.post("/keys/new", headers=world.operator, form={"name": "x"}))
    assert {answer.status_code for answer in answers} <= {302, 303, 401}
    assert [row["name"] for row in await world.rows("SELECT name FROM api_keys")] == ["demo"]
