"""Who belongs to a tenant, as what, and how they come and go."""

import asyncio
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest

from cloud.callers import Actor, ActorKind, Scope, member
from cloud.database import Transaction
from cloud.errors import Refused
from cloud.permissions import SECOND_FACTOR, Permission, Role, permissions_of
from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud


async def user_id(person: PersonAtCloud) -> str:
    return str((await (await person.get("/v1/me")).get_json())["id"])


@pytest.mark.criterion("1.4")
@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
async def test_somebody_invited_may_do_what_their_role_may(office: Office, admin: PersonAtCloud, role: Role) -> None:
    person = await office.invited(admin, f"{role}@staff.example", role)
    await person.sign_in()
    me = await (await person.get("/v1/me")).get_json()
    allowed = permissions_of(role) - SECOND_FACTOR  # which none of them has shown
    assert (me["role"], set(me["permissions"])) == (role, {str(permission) for permission in allowed})
    for path, permission in (("/v1/orders", Permission.ORDERS_READ), ("/v1/users", Permission.USERS_READ)):
        status = (await person.get(path)).status_code
        assert status == (200 if permission in permissions_of(role) else 403), path


async def test_a_role_is_in_force_at_once_and_so_is_its_end(office: Office, admin: PersonAtCloud) -> None:
    person = await office.invited(admin, "vera@larder.example", "viewer")
    await person.sign_in()
    who = f"/v1/users/{await user_id(person)}"
    assert (await person.get("/v1/users")).status_code == 403
    changed = await admin.ask("PATCH", who, json={"role": "admin"})
    assert changed.status_code == 200, await changed.get_data()
    assert (await changed.get_json())["role"] == "admin"
    assert (await person.get("/v1/users")).status_code == 200
    assert (await admin.ask("DELETE", who)).status_code == 200
    assert (await person.get("/v1/orders")).status_code == 403
    assert (await admin.get(who)).status_code == 404


@pytest.mark.criterion("1.4")
async def test_nobody_makes_or_touches_somebody_mightier(world: World, office: Office, admin: PersonAtCloud) -> None:
    owner = await office.owner(world.tenant_id)
    who = f"/v1/users/{await user_id(owner)}"
    tries = [
        await admin.ask("POST", "/v1/invitations", json={"email": "a@b.example", "role": "owner"}),
        await admin.ask("PATCH", who, json={"role": "viewer"}),
        await admin.ask("DELETE", who),
        await admin.ask("PATCH", f"/v1/users/{await user_id(admin)}", json={"role": "owner"}),
    ]
    assert [answer.status_code for answer in tries] == [403] * 4
    answer = await owner.ask("PATCH", f"/v1/users/{await user_id(admin)}", json={"role": "owner"})
    assert answer.status_code == 200


async def test_a_business_keeps_an_owner(world: World, office: Office) -> None:
    owner = await office.owner(world.tenant_id)
    who = f"/v1/users/{await user_id(owner)}"
    for method, wish in (("DELETE", {}), ("PATCH", {"role": "admin"})):
        assert (await owner.ask(method, who, json=wish)).status_code == 409


async def test_of_two_owners_who_remove_each_other_one_stays(world: World, office: Office) -> None:
    first = await office.owner(world.tenant_id)
    second = await office.owner(world.tenant_id, "otto@larder.example")
    ids = [await user_id(first), await user_id(second)]
    await asyncio.gather(first.ask("DELETE", f"/v1/users/{ids[1]}"), second.ask("DELETE", f"/v1/users/{ids[0]}"))
    assert len(await world.rows("SELECT 1 FROM memberships WHERE role = 'owner'")) == 1


async def test_an_owner_without_a_second_factor_sets_one_up_first(world: World, office: Office) -> None:
    owner = await office.owner(world.tenant_id)
    known = await office.identity.sessions.person(owner.cookie)
    with pytest.raises(Refused) as needed:
        await office.identity.second_factors.remove(known, owner.code())
    assert needed.value.status == 409
    await world.database.unit("test", _forget_factor, user_id=known.user_id)
    answer = await owner.get("/v1/orders")
    assert (answer.status_code, (await answer.get_json())["code"]) == (403, "second_factor_missing")


async def _forget_factor(transaction: object) -> None:
    await transaction.execute("UPDATE user_secrets SET totp_seed = NULL, totp_confirmed_at = NULL")  # type: ignore[attr-defined]


async def test_an_invitation_is_mailed_again_withdrawn_and_used_once(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    wish = {"email": "Ina@Larder.example", "role": "viewer"}
    invited = await (await admin.ask("POST", "/v1/invitations", json=wish)).get_json()
    assert (await admin.ask("POST", "/v1/invitations", json=wish)).status_code == 409
    first = (await world.mailbox.link("Ina@Larder.example")).removeprefix("/invitations/")
    one = f"/v1/invitations/{invited['invitation_id']}"
    assert (await admin.ask("POST", f"{one}/mail")).status_code == 200
    second = (await world.mailbox.link("Ina@Larder.example", 2)).removeprefix("/invitations/")
    with pytest.raises(Refused):
        await office.identity.invitations.offer(first)
    offer = await office.identity.invitations.offer(second)
    assert (offer.tenant_name, offer.role, offer.is_known) == ("Demo Vending", Role.VIEWER, False)
    listed = await (await admin.get("/v1/invitations")).get_json()
    assert [row["email"] for row in listed["invitations"]] == ["Ina@Larder.example"]
    assert (await admin.ask("DELETE", one)).status_code == 204
    with pytest.raises(Refused):
        await office.identity.invitations.accept_as_new(second, "Ina", "a long enough pass phrase")
    assert (await admin.ask("POST", f"{one}/mail")).status_code == 404
    entries = (await (await admin.get(f"/v1/audit?subject_id={invited['invitation_id']}")).get_json())["entries"]
    assert [entry["action"] for entry in entries] == ["invitation_withdrawn", "invitation_sent_again", "user_invited"]


async def test_an_invitation_is_accepted_once_however_many_try(office: Office, admin: PersonAtCloud) -> None:
    await admin.ask("POST", "/v1/invitations", json={"email": "ina@larder.example", "role": "viewer"})
    secret = (await office.mailbox.link("ina@larder.example")).removeprefix("/invitations/")
    accept = office.identity.invitations.accept_as_new
    tries = [accept(secret, f"Ina {n}", "a long enough pass phrase") for n in range(3)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert all(isinstance(result, Refused) for result in results if result is not None)


async def test_who_has_an_account_joins_as_themselves(world: World, office: Office, admin: PersonAtCloud) -> None:
    person = await office.invited(admin, "ina@larder.example", "viewer")
    await person.sign_in()
    await admin.ask("DELETE", f"/v1/users/{await user_id(person)}")
    await admin.ask("POST", "/v1/invitations", json={"email": "ina@larder.example", "role": "finance"})
    secret = (await world.mailbox.link("ina@larder.example", 2)).removeprefix("/invitations/")
    assert (await office.identity.invitations.offer(secret)).is_known
    with pytest.raises(Refused) as known:
        await office.identity.invitations.accept_as_new(secret, "Ina", "another long pass phrase")
    assert known.value.status == 409
    other = await office.identity.sessions.person(admin.cookie)
    with pytest.raises(Refused) as foreign:
        await office.identity.invitations.accept(other, secret)
    assert foreign.value.status == 403
    ina = await office.identity.sessions.person(person.cookie)
    await office.identity.invitations.accept(ina, secret)
    assert (await (await person.get("/v1/me")).get_json())["role"] == "finance"


@pytest.mark.criterion("1.4")
async def test_a_technician_sees_their_route_only(world: World, office: Office, admin: PersonAtCloud) -> None:
    """Of two machines, the free one: in lists, by id, and when something is to be done."""
    theirs, other = await world.slot(0), await world.slot(1)
    sold = [world.gateway.sell(slot) for slot in (theirs, other)]
    await world.acknowledged()
    scope = [str(theirs.machine_id)]
    person = await office.invited(admin, "tom@larder.example", "technician", machines=scope)
    await person.sign_in()
    for path, name in (("/v1/orders", "orders"), ("/v1/inventory", "stock"), ("/v1/devices", "devices")):
        seen = (await (await person.get(path)).get_json())[name]
        assert seen, path
        assert {row["machine_id"] for row in seen} == {scope[0]}, path
    for path, status in (
        (f"/v1/orders/{sold[0]}", 200),
        (f"/v1/orders/{sold[1]}", 404),
        (f"/v1/devices/{theirs.device_id}/settings", 200),
        (f"/v1/devices/{other.device_id}/settings", 404),
        (f"/v1/orders?machine_id={other.machine_id}", 200),
    ):
        answer = await person.get(path)
        assert answer.status_code == status, path
        assert str(other.machine_id) not in await answer.get_data(as_text=True), path
    restart = {"json": {"action": "restart"}, "headers": {"Idempotency-Key": str(other.machine_id)}}
    refused = await person.ask("POST", f"/v1/devices/{other.device_id}/instructions", **restart)
    assert refused.status_code == 404
    done = await person.ask("POST", f"/v1/devices/{theirs.device_id}/instructions", **restart)
    assert done.status_code == 201
    whole = await office.invited(admin, "whole@larder.example", "technician", sites=[world.seeded.site_id])
    await whole.sign_in()
    assert len((await (await whole.get("/v1/orders")).get_json())["orders"]) == 2


async def test_a_scope_names_what_is_there(admin: PersonAtCloud) -> None:
    wish = {"email": "a@b.example", "role": "viewer", "sites": ["0190a000-0000-7000-8000-000000000000"]}
    answer = await admin.ask("POST", "/v1/invitations", json=wish)
    assert (answer.status_code, (await answer.get_json())["errors"][0]["path"]) == (422, "sites")
    answer = await admin.ask("POST", "/v1/invitations", json=wish | {"email": "nobody", "sites": []})
    assert (answer.status_code, (await answer.get_json())["errors"][0]["path"]) == (422, "email")


async def test_what_is_done_with_users_is_audited(office: Office, admin: PersonAtCloud) -> None:
    person = await office.invited(admin, "ina@larder.example", "viewer")
    await person.sign_in()
    who = f"/v1/users/{await user_id(person)}"
    await admin.ask("PATCH", who, json={"role": "finance"})
    await admin.ask("DELETE", who)
    entries = (await (await admin.get("/v1/audit")).get_json())["entries"]
    entries = [entry for entry in entries if entry["action"] != "signed_in"]
    told = [(entry["action"], entry["actor"]["name"]) for entry in entries][:4]
    assert told == [
        ("user_removed", "Demo Admin"),
        ("role_changed", "Demo Admin"),
        ("invitation_accepted", "Ina"),
        ("user_invited", "Demo Admin"),
    ]
    assert entries[1]["before"] == {"role": "viewer"}
    assert entries[1]["after"] == {"role": "finance"}


@pytest.mark.criterion("5.1")
async def test_an_invitation_that_is_sent_twice_is_mailed_once(office: Office, admin: PersonAtCloud) -> None:
    once, wish = {"Idempotency-Key": str(uuid4())}, {"email": "ina@larder.example", "role": "viewer"}
    answers = [await admin.ask("POST", "/v1/invitations", json=wish, headers=once) for _ in range(2)]
    assert [(answer.status_code, "Idempotency-Replayed" in answer.headers) for answer in answers] == [
        (201, False),
        (201, True),
    ]
    await office.mailbox.link("ina@larder.example")
    assert len(office.mailbox.to("ina@larder.example")) == 1


async def test_who_sees_a_part_decides_nothing_about_the_whole(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    key = await admin.ask("POST", "/v1/api-keys", json={"name": "whole", "scopes": ["orders:read"]})
    key_id = (await key.get_json())["key_id"]
    part = await office.invited(admin, "paul@larder.example", "admin", machines=[world.seeded.machines[0].machine_id])
    await part.sign_in()
    for method, path, wish in (
        ("POST", f"/v1/api-keys/{key_id}/rotation", {}),
        ("DELETE", f"/v1/api-keys/{key_id}", {}),
        ("POST", "/v1/api-keys", {"name": "x", "scopes": ["orders:read"]}),
        ("GET", "/v1/users", {}),
        ("GET", "/v1/audit", {}),
        ("POST", "/v1/invitations", {"email": "a@b.example", "role": "viewer"}),
        ("PATCH", f"/v1/sites/{world.seeded.site_id}", {"name": "theirs"}),
    ):
        more = {} if method == "GET" else {"json": wish}
        assert (await part.ask(method, path, **more)).status_code == 403, path
    assert (await part.get("/v1/orders")).status_code == 200


@pytest.mark.criterion("2.2")
async def test_who_sees_a_part_of_a_site_writes_it_by_no_sql(world: World) -> None:
    """Postgres says so, too; but they count its changes on when they instruct a device."""
    machine_id, site_id = UUID(world.seeded.machines[0].machine_id), UUID(world.seeded.site_id)
    actor, ours = Actor(ActorKind.USER, uuid4(), "Tom"), []
    for scope in (Scope(machines=frozenset({machine_id})), Scope(sites=frozenset({site_id}))):
        caller = member(world.tenant_id, actor, Role.OPERATOR, scope)
        for column in ("last_change = last_change + 1", "name = 'theirs'"):
            work = partial(_update_site, column)
            try:
                ours.append(await world.database.unit("test", work, caller=caller))
            except asyncpg.InsufficientPrivilegeError:
                ours.append(0)
    assert ours == [1, 0, 1, 1]


async def _update_site(column: str, transaction: Transaction) -> int:
    return await transaction.execute(f"UPDATE sites SET {column}")  # noqa: S608  one of the test's own
