"""What a key has made, when it is revoked: it goes on, as a program changes its key so, or ends as a whole tree."""

import base64
from typing import Any

import pytest

from cloud.permissions import Role, permissions_of
from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud

SCOPES = [*permissions_of(Role.VIEWER), "keys:write", "users:write"]


async def made(world: World, name: str, maker: PersonAtCloud | dict[str, Any]) -> dict[str, Any]:
    """A key made by a person or by a key, and an invitation sent by it."""
    person = maker if isinstance(maker, PersonAtCloud) else PersonAtCloud(world.app, "", "")
    headers = {} if isinstance(maker, PersonAtCloud) else bearer(maker)
    wish = {"name": name, "scopes": SCOPES}
    answer = await person.ask("POST", "/v1/api-keys", json=wish, headers=headers)
    assert answer.status_code == 201, await answer.get_data()
    key = dict(await answer.get_json())
    invitation = {"email": f"{name}@b.example", "role": "viewer"}
    program = PersonAtCloud(world.app, "", "")
    assert (await program.ask("POST", "/v1/invitations", json=invitation, headers=bearer(key))).status_code == 201
    return key


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['secret']}"}


async def live(world: World, *keys: dict[str, Any]) -> list[bool]:
    return [(await world.client.get("/v1/orders", headers=bearer(key))).status_code == 200 for key in keys]


async def waiting(world: World) -> set[str]:
    rows = await world.rows("SELECT email FROM invitations WHERE accepted_at IS NULL AND revoked_at IS NULL")
    return {row["email"].partition("@")[0] for row in rows}


@pytest.mark.criterion("1.4")
async def test_the_whole_tree_ends_with_a_key_that_leaked(world: World, office: Office, admin: PersonAtCloud) -> None:
    root = await made(world, "root", admin)
    child = await made(world, "child", root)
    grandchild = await made(world, "grandchild", child)
    other = await made(world, "other", admin)
    gone = await admin.ask("DELETE", f"/v1/api-keys/{child['key_id']}")
    assert [key["name"] for key in (await gone.get_json())["made"]["api_keys"]] == ["grandchild"]
    assert await live(world, root, child, grandchild, other) == [True, False, True, True]

    page = await (await admin.get("/keys")).get_data(as_text=True)
    dialog = page.partition(f'id="revoke-{root["key_id"]}"')[2].partition("</dialog>")[0]
    for shown in ("grandchild", "the invitation of child@b.example", 'name="with_made" value="yes" checked'):
        assert shown in dialog
    assert dialog.count(f"{root['secret'][:12]}…") == 1, "it was said to have made itself"
    assert "with_made" not in page.partition(f'id="revoke-{grandchild["key_id"]}"')[2].partition("<ul>")[0]

    link = (await world.mailbox.link("grandchild@b.example")).removeprefix("/invitations/")
    ended = await (await admin.ask("DELETE", f"/v1/api-keys/{root['key_id']}?with_made=true")).get_json()
    assert ended["with_made"] is True
    assert [key["name"] for key in ended["made"]["api_keys"]] == ["grandchild"], "a key between them had ended"
    assert {row["email"].partition("@")[0] for row in ended["made"]["invitations"]} == {"root", "child", "grandchild"}
    assert await live(world, root, child, grandchild, other) == [False, False, False, True]
    assert await waiting(world) == {"other"}
    assert (await world.client.get(f"/invitations/{link}")).status_code == 409
    told = (await (await admin.get("/v1/audit?limit=5")).get_json())["entries"]
    assert [entry["action"] for entry in told].count("api_key_revoked") == 2
    assert [entry["action"] for entry in told].count("invitation_withdrawn") == 3


async def test_a_program_changes_its_key_and_revokes_the_old_one_itself(world: World, admin: PersonAtCloud) -> None:
    old = await made(world, "robot", admin)
    program = PersonAtCloud(world.app, "", "")
    path = f"/v1/api-keys/{old['key_id']}"
    new = await (await program.ask("POST", f"{path}/rotation", headers=bearer(old))).get_json()
    revoked = await program.ask("DELETE", path, headers=bearer(old))
    said = await revoked.get_json()
    assert (revoked.status_code, said["with_made"]) == (200, False)
    assert [key["key_id"] for key in said["made"]["api_keys"]] == [new["key_id"]]
    assert await live(world, old, new) == [False, True]
    assert await waiting(world) == {"robot"}


async def test_the_page_ends_what_was_ticked(world: World, admin: PersonAtCloud) -> None:
    for ticked, lives in (({}, True), ({"with_made": "yes"}, False)):
        root = await made(world, f"r{lives}", admin)
        child = await made(world, f"c{lives}", root)
        answer = await admin.post(f"/keys/{root['key_id']}/revocation", **ticked)
        assert answer.headers["Location"] == "/keys"
        told = base64.urlsafe_b64decode(answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0])
        assert (b"So ended what it made: 1 API key and 2 open invitations." in told) is not lives
        assert await live(world, root, child) == [False, lives]
