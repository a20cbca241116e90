"""Who loses a right loses what they made by it: API keys, their tokens, and open invitations."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cloud.auth.keys import CreateKey, KeyService
from cloud.auth.members import MemberService
from cloud.cache import Caches
from cloud.callers import Actor, ActorKind, Scope, member
from cloud.clock import Clock
from cloud.database import credentials
from cloud.errors import Refused, Unauthenticated
from cloud.permissions import FOR_PEOPLE, Permission, Role, permissions_of
from tests.cloud.conftest import Server, World
from tests.fakes.cloud_people import Office, PersonAtCloud

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"


async def said(person: PersonAtCloud, method: str, path: str, **more: Any) -> dict[str, Any]:
    answer = await person.ask(method, path, **more)
    assert answer.status_code in {200, 201}, await answer.get_data()
    return dict(await answer.get_json())


async def opens(world: World, secret: str) -> bool:
    answer = await world.client.get("/v1/orders", headers={"Authorization": f"Bearer {secret}"})
    return answer.status_code == 200


async def second_admin(office: Office, admin: PersonAtCloud) -> tuple[PersonAtCloud, str]:
    person = await office.invited(admin, "ada@larder.example", "admin")
    await person.sign_in()
    return person, str((await said(person, "GET", "/v1/me"))["id"])


async def with_everything_made(world: World, person: PersonAtCloud, mark: str = "") -> tuple[list[str], dict[str, Any]]:
    """Secrets of a key of theirs, of a key that it made, and its tokens; what the last keys are called and who is
    invited.
    """
    scopes = [*permissions_of(Role.VIEWER), "keys:write", "users:write"]
    wish = {"name": f"reports{mark}", "scopes": scopes}
    key = await said(person, "POST", "/v1/api-keys", json=wish)
    bearer = {"Authorization": f"Bearer {key['secret']}"}
    program = PersonAtCloud(world.app, "", "")
    made = {"json": {"name": f"made by it{mark}", "scopes": ["orders:read"]}, "headers": bearer}
    child = await said(program, "POST", "/v1/api-keys", **made)
    await said(
        program, "POST", "/v1/invitations", json={"email": f"p{mark}@b.example", "role": "viewer"}, headers=bearer
    )
    await said(person, "POST", "/v1/invitations", json={"email": f"q{mark}@b.example", "role": "admin"})
    form = {"grant_type": "client_credentials"}
    tokens = await said(program, "POST", "/v1/oauth/token", form=form, headers=bearer)
    return [key["secret"], child["secret"], tokens["access_token"]], tokens


async def invited(world: World) -> set[str]:
    rows = await world.rows("SELECT email FROM invitations WHERE accepted_at IS NULL AND revoked_at IS NULL")
    return {row["email"] for row in rows}


@pytest.mark.criterion("1.4")
async def test_what_somebody_made_ends_when_they_are_removed(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    ada, ada_id = await second_admin(office, admin)
    secrets, tokens = await with_everything_made(world, ada)
    own = await said(admin, "POST", "/v1/api-keys", json={"name": "own", "scopes": ["orders:read"]})
    await said(admin, "POST", "/v1/invitations", json={"email": "own@b.example", "role": "viewer"})
    made = await said(admin, "GET", f"/v1/users/{ada_id}/made")
    assert [key["name"] for key in made["api_keys"]] == ["reports", "made by it"]
    assert {row["email"] for row in made["invitations"]} == {"p@b.example", "q@b.example"}

    link = (await world.mailbox.link("q@b.example")).removeprefix("/invitations/")
    ended = await said(admin, "DELETE", f"/v1/users/{ada_id}")
    assert ended == {
        "revoked_keys": made["api_keys"],
        "kept_keys": [],
        "withdrawn_invitations": made["invitations"],
    }
    assert [await opens(world, secret) for secret in (*secrets, own["secret"])] == [False, False, False, True]
    refreshed = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await world.client.post("/v1/oauth/token", form=refreshed)).status_code == 401
    with pytest.raises(Refused):
        await office.identity.invitations.offer(link)
    assert await invited(world) == {"own@b.example"}
    told = (await said(admin, "GET", "/v1/audit?limit=5"))["entries"]
    assert sorted(entry["action"] for entry in told) == [
        "api_key_revoked",
        "api_key_revoked",
        "invitation_withdrawn",
        "invitation_withdrawn",
        "user_removed",
    ]
    assert len({entry["request_id"] for entry in told}) == 1


async def test_keys_go_on_when_somebody_answers_for_them(world: World, office: Office, admin: PersonAtCloud) -> None:
    ada, ada_id = await second_admin(office, admin)
    secrets, _ = await with_everything_made(world, ada)
    keep = f"/v1/users/{ada_id}?keep_keys=true"
    page = await (await admin.get(f"/users/{ada_id}")).get_data(as_text=True)
    for shown in ("2 API keys that they made are revoked", "made by it", "q@b.example", 'form="removal-form"'):
        assert shown in page
    assert (await ada.ask("DELETE", keep)).status_code == 409, "they kept their own"
    refused = await ada.post(f"/users/{ada_id}/removal", keep_keys="yes")
    assert refused.headers["Location"] == f"/users/{ada_id}"
    await office.with_second_factor(ada)
    mighty = {"name": "mighty", "scopes": [*permissions_of(Role.ADMIN) - FOR_PEOPLE], "days": 1}
    theirs = {"Authorization": f"Bearer {(await said(ada, 'POST', '/v1/api-keys', json=mighty))['secret']}"}
    assert (await ada.ask("DELETE", keep, headers=theirs)).status_code == 409, "their own key kept itself"
    assert (await admin.ask("DELETE", keep)).status_code == 403, "somebody answered for what they may not do"
    (mightiest, *_) = (await said(ada, "GET", "/v1/api-keys?limit=1"))["api_keys"]
    assert (await ada.ask("DELETE", f"/v1/api-keys/{mightiest['key_id']}")).status_code == 200
    done = await admin.post(f"/users/{ada_id}/removal", keep_keys="yes")
    assert done.headers["Location"] == "/users"
    assert "kept by Demo Admin" in await (await admin.get("/keys")).get_data(as_text=True)
    assert [await opens(world, secret) for secret in secrets] == [True] * 3
    listed = (await said(admin, "GET", "/v1/api-keys"))["api_keys"]
    assert {key["name"]: key["kept_by"] for key in listed if key["revoked_at"] is None} == {
        "demo": None,
        "reports": "Demo Admin",
        "made by it": "Demo Admin",
    }
    owner = await office.owner(world.tenant_id)
    (row,) = [row for row in (await said(owner, "GET", "/v1/users"))["users"] if row["name"] == "Demo Admin"]
    ended = await said(owner, "DELETE", f"/v1/users/{row['user_id']}")
    assert [key["name"] for key in ended["revoked_keys"]] == ["reports", "made by it"]
    assert [await opens(world, secret) for secret in secrets] == [False] * 3


async def test_what_somebody_could_not_make_any_more_ends_with_their_role(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    part = {"machines": [world.seeded.machines[0].machine_id]}
    for name, wish, holds in (("a", {"role": "admin"}, True), ("b", {"role": "operator"}, False), ("c", part, False)):
        person = await office.invited(admin, f"{name}@larder.example", "admin")
        await person.sign_in()
        user_id = (await said(person, "GET", "/v1/me"))["id"]
        secrets, _ = await with_everything_made(world, person, name)
        changed = await said(admin, "PATCH", f"/v1/users/{user_id}", json=wish)
        assert [await opens(world, secret) for secret in secrets] == [holds] * 3, wish
        assert await invited(world) >= {"pa@b.example", "qa@b.example"}
        assert (f"p{name}@b.example" in await invited(world)) is holds
        assert (f"q{name}@b.example" in await invited(world)) is holds
        assert len(changed["ended"]["revoked_keys"]) == (0 if holds else 2)


async def test_an_owner_who_becomes_an_admin_makes_no_owners(world: World, office: Office) -> None:
    owner = await office.owner(world.tenant_id)
    other = await office.with_second_factor(await office.invited(owner, "otto@larder.example", "owner"))
    for email, role in (("a@b.example", "owner"), ("b@b.example", "admin")):
        await said(other, "POST", "/v1/invitations", json={"email": email, "role": role})
    other_id = (await said(other, "GET", "/v1/me"))["id"]
    await said(owner, "PATCH", f"/v1/users/{other_id}", json={"role": "admin"})
    assert await invited(world) == {"b@b.example"}


async def test_nobody_revives_an_invitation_that_they_could_not_make(world: World, office: Office) -> None:
    owner = await office.owner(world.tenant_id)
    other = await office.with_second_factor(await office.invited(owner, "otto@larder.example", "owner"))
    other_id = (await said(other, "GET", "/v1/me"))["id"]
    await said(other, "POST", "/v1/invitations", json={"email": "a@b.example", "role": "owner"})
    kept = await said(owner, "POST", "/v1/invitations", json={"email": "c@b.example", "role": "owner"})
    await world.rows("UPDATE invitations SET expires_at = now() - interval '1 day'")
    await said(owner, "PATCH", f"/v1/users/{other_id}", json={"role": "admin"})
    assert await invited(world) == {"c@b.example"}
    again = f"/v1/invitations/{kept['invitation_id']}/mail"
    assert (await other.ask("POST", again)).status_code == 403
    assert (await said(owner, "POST", again))["invited_by"] == kept["invited_by"]


async def test_a_request_under_way_makes_nothing_that_outlives_the_right_to_it(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    """It was let in before they were removed, or changed."""
    _, ada_id = await second_admin(office, admin)
    actor = Actor(ActorKind.USER, UUID(ada_id), "Ada")
    before = member(world.tenant_id, actor, Role.ADMIN, Scope())
    wish = CreateKey(name="late", scopes=(Permission.ORDERS_READ,))
    for method, more in (("PATCH", {"json": {"role": "viewer"}}), ("DELETE", {})):
        await said(admin, method, f"/v1/users/{ada_id}", **more)
        with pytest.raises(Refused) as late:
            await world.do(lambda transaction: office.identity.keys.create(transaction, before, wish))
        assert late.value.status == 403


async def test_a_key_that_was_let_in_just_now_is_refused_at_once(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    """By the process that ended it, before it says so: other processes are told by Postgres, a moment later."""
    ada, ada_id = await second_admin(office, admin)
    secrets, _ = await with_everything_made(world, ada)
    caches = Caches()
    caches.hear(is_heard=True)  # of what this database object rings, and nothing of Postgres
    world.database.on_ring(caches.rung)
    keys = KeyService(world.database, Clock(), caches)
    for secret in secrets:
        await keys.operator(secret)
    admin_id = UUID((await said(admin, "GET", "/v1/me"))["id"])
    remover = member(world.tenant_id, Actor(ActorKind.USER, admin_id, "Demo Admin"), Role.ADMIN, Scope())
    await MemberService(world.database, Clock()).remove(remover, UUID(ada_id))
    for secret in secrets:
        with pytest.raises(Unauthenticated):
            await keys.operator(secret)


async def test_an_invitation_that_is_accepted_in_that_moment_is_not_withdrawn(
    world: World, office: Office, admin: PersonAtCloud, server: Server
) -> None:
    ada, ada_id = await second_admin(office, admin)
    for email in ("accepted@b.example", "open@b.example"):
        await said(ada, "POST", "/v1/invitations", json={"email": email, "role": "viewer"})
    database = str(credentials(world.url)["database"])
    accepting = await asyncpg.connect(**credentials(server.postgres.url("postgres", database)))
    async with accepting.transaction():
        await accepting.execute("UPDATE invitations SET accepted_at = now() WHERE email = 'accepted@b.example'")
        removing = asyncio.create_task(said(admin, "DELETE", f"/v1/users/{ada_id}"))
        for _ in range(1000):
            if await accepting.fetchval(_WAITING, database):
                break
            await asyncio.sleep(0.01)
    ended = await removing
    await accepting.close()
    assert [row["email"] for row in ended["withdrawn_invitations"]] == ["open@b.example"]
    rows = await world.rows("SELECT email FROM invitations WHERE revoked_at IS NOT NULL")
    assert [row["email"] for row in rows] == ["open@b.example"]
    told = [entry["action"] for entry in (await said(admin, "GET", "/v1/audit?limit=9"))["entries"]]
    assert told.count("invitation_withdrawn") == 1
