"""A second factor is taken away for who has lost both phone and recovery codes: by whom, and by whom not."""

from typing import Any

import pytest

from cloud.permissions import FOR_PEOPLE, Role, permissions_of
from tests.cloud.conftest import World
from tests.cloud.rival import rival_of
from tests.fakes.cloud_people import Office, PersonAtCloud
from tests.fakes.postgres_cloud import tenant_rows
from tests.fakes.until import until

REASON = "ticket 4712: their phone fell into the sea"


async def id_of(person: PersonAtCloud) -> str:
    return str((await (await person.get("/v1/me")).get_json())["id"])


async def reset(actor: PersonAtCloud, user_id: str, **proof: str) -> tuple[int, Any]:
    body = {"password": actor.password, "code": "000000"} | proof
    answer = await actor.ask("POST", f"/v1/users/{user_id}/second-factor/reset", json=body)
    return answer.status_code, await answer.get_json() if answer.status_code != 204 else None


async def newest(person: PersonAtCloud) -> dict[str, Any]:
    return dict((await (await person.get("/v1/audit?limit=1")).get_json())["entries"][0])


async def lost(office: Office, inviter: PersonAtCloud, role: str = "admin") -> tuple[PersonAtCloud, str]:
    person = await office.with_second_factor(await office.invited(inviter, f"lost-{role}@larder.example", role))
    return person, await id_of(person)


@pytest.mark.criterion("1.2")
async def test_who_lost_phone_and_codes_sets_up_a_new_second_factor(world: World, office: Office) -> None:
    owner = await office.owner(world.tenant_id)
    other, other_id = await lost(office, owner, "owner")
    elsewhere = PersonAtCloud(world.app, other.email, other.password, other.seed, steps_used=other.steps_used)
    await elsewhere.sign_in()
    for proof, field in (({"password": REASON}, "password"), ({}, "code")):
        status, problem = await reset(owner, other_id, **proof)
        assert (status, [error["path"] for error in problem["errors"]]) == (422, [field])
    assert (await other.get("/v1/orders")).status_code == 200
    assert await reset(owner, other_id, code=owner.code()) == (204, None)

    for session in (other, elsewhere):
        assert (await session.get("/v1/me")).status_code == 401
    kept = "SELECT totp_seed FROM user_secrets UNION ALL SELECT code_sha256 FROM recovery_codes"
    assert [row["totp_seed"] for row in await rows_of(world, other, kept)] == [None]
    told = await newest(owner)
    assert (told["action"], told["actor"]["name"], told["subject"]["id"]) == (
        "second_factor_reset",
        "Olga Owner",
        other_id,
    )
    subject = "Your second factor for Larder was reset"
    await until(lambda: subject in [mail["Subject"] for mail in world.mailbox.messages])
    other.password, right = "wrong", other.password
    assert (await other.sign_in()).status_code == 401, "the password is needed still"
    other.password, other.seed = right, None
    await other.sign_in()
    assert (await (await other.get("/v1/orders")).get_json())["code"] == "second_factor_missing"
    await office.with_second_factor(other)
    assert (await other.get("/v1/orders")).status_code == 200
    assert (await reset(owner, other_id, code=owner.recovery_codes[0]))[0] == 204, "a recovery code proves it, too"


async def rows_of(world: World, person: PersonAtCloud, sql: str) -> list[dict[str, Any]]:
    return await tenant_rows(world.database, world.tenant_id, sql, address=person.email)


@pytest.mark.criterion("1.4")
async def test_nobody_resets_their_own_a_mightier_ones_or_without_one(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    owner = await office.owner(world.tenant_id)
    owner_id, admin_id = await id_of(owner), await id_of(admin)
    other, other_id = await lost(office, owner)
    status, problem = await reset(admin, other_id)
    assert (status, problem["code"]) == (403, "second_factor_missing"), "an admin who has none took one away"
    await office.with_second_factor(admin)
    assert (await reset(admin, owner_id, code=admin.code()))[0] == 403
    assert (await reset(admin, admin_id, code=admin.recovery_codes[0]))[0] == 403
    viewer = await office.with_second_factor(await office.invited(admin, "v@larder.example", "viewer"))
    assert (await reset(viewer, other_id, code=viewer.recovery_codes[0]))[0] == 403
    assert (await reset(admin, await id_of(viewer), code=admin.recovery_codes[0]))[0] == 204
    assert (await reset(admin, await id_of(owner), code=admin.recovery_codes[1]))[0] == 403
    assert (await other.get("/v1/orders")).status_code == 200
    plain = await office.invited(admin, "p@larder.example", "viewer")
    await plain.sign_in()
    assert (await reset(admin, await id_of(plain), code=admin.recovery_codes[1]))[0] == 409, "there was none"
    for scopes in ([*FOR_PEOPLE], [*permissions_of(Role.ADMIN)]):
        made = await admin.ask("POST", "/v1/api-keys", json={"name": "robot", "scopes": scopes})
        assert made.status_code == 403, "a key was given what only people do"


@pytest.mark.criterion("1.4")
async def test_a_business_cannot_weaken_another(
    world: World, office: Office, admin: PersonAtCloud, platform: PersonAtCloud
) -> None:
    """Who belongs to two is helped by who looks after all, which both read in their logs."""
    await office.with_second_factor(admin)
    other, other_id = await lost(office, admin)
    rival = await rival_of(world)
    wish = {"email": other.email, "role": "viewer"}
    key = rival.headers | {"Idempotency-Key": "01890000-0000-7000-8000-000000000001"}
    assert (await world.client.post("/v1/invitations", json=wish, headers=key)).status_code == 201
    link = (await world.mailbox.link(other.email, 2)).removeprefix("/invitations/")
    await office.identity.invitations.accept(await office.identity.sessions.person(other.cookie), link)
    assert (await reset(admin, other_id, code=admin.code()))[0] == 409
    assert (await other.get("/v1/orders")).status_code == 200

    place = "/platform/second-factor"
    assert (await admin.get(place)).status_code == 403
    assert (await admin.post(place, address=other.email, reason=REASON)).status_code == 403
    assert "Their e-mail address" in await (await platform.get(place)).get_data(as_text=True)
    form = {"address": other.email, "reason": REASON, "password": platform.password, "code": platform.recovery_codes[0]}
    for wrong, said in (
        ({"reason": "why"}, "Must have 10 to 500"),
        ({"code": "000000"}, "Is not right"),
        ({"address": "nobody@larder.example"}, "Is nobody&#39;s"),
        ({"address": platform.email}, "Your own is for somebody else"),
    ):
        answer = await platform.post(place, **form | wrong)
        assert said in await answer.get_data(as_text=True), wrong
    assert (await platform.post(place, **form)).headers["Location"] == "/platform"
    assert (await other.get("/v1/me")).status_code == 401
    told = await newest(admin)
    assert (told["action"], told["actor"]["kind"], told["after"]) == (
        "second_factor_reset",
        "platform",
        {"reason": REASON},
    )
    theirs = await (await world.client.get("/v1/audit?limit=1", headers=rival.headers)).get_json()
    assert (theirs["entries"][0]["action"], theirs["entries"][0]["after"]) == (told["action"], told["after"])


async def test_the_page_asks_for_ones_own_proof(world: World, office: Office, admin: PersonAtCloud) -> None:
    other, other_id = await lost(office, admin)
    page = f"/users/{other_id}"
    assert "set up your own" in await (await admin.get(page)).get_data(as_text=True)
    await office.with_second_factor(admin)
    assert "Your own password" in await (await admin.get(page)).get_data(as_text=True)
    wrong = await admin.post(f"{page}/second-factor", password=REASON, code="1")
    assert (wrong.status_code, "Is not your password." in await wrong.get_data(as_text=True)) == (422, True)
    done = await admin.post(f"{page}/second-factor", password=admin.password, code=admin.code())
    assert (done.status_code, done.headers["Location"]) == (303, page)
    assert (await other.get("/v1/me")).status_code == 401
