"""Signing in: what opens a session, what ends it, and what tells nobody anything."""

import asyncio
from datetime import timedelta

import pytest

from cloud.auth import rules
from cloud.auth.sessions import Visitor
from cloud.errors import Refused, Unauthenticated
from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud


async def code_of(answer: object) -> str:
    return str((await answer.get_json())["code"])  # type: ignore[attr-defined]


@pytest.mark.criterion("1.2")
async def test_a_wrong_password_and_an_unknown_address_look_alike(world: World) -> None:
    told = []
    for email, password in ((world.seeded.email, "not the password"), ("nobody@larder.example", "x"), ("", "")):
        answer = await PersonAtCloud(world.app, email, password).sign_in()
        text = await answer.get_data(as_text=True)
        told.append(
            (answer.status_code, text.replace(email, "") if email else text, dict(answer.headers).get("Set-Cookie"))
        )
    assert told[0] == told[1] == told[2]
    assert told[0][0] == 401


async def test_passwords_are_compared_even_if_there_is_none(office: Office) -> None:
    passwords = office.identity.sign_in._passwords
    assert not await passwords.match(None, "the password of nobody")
    assert not await passwords.match("no hash", "x")


async def test_the_eleventh_attempt_in_a_while_is_not_looked_at(world: World) -> None:
    person = PersonAtCloud(world.app, world.seeded.email, "wrong")
    for _ in range(10):
        assert (await person.sign_in()).status_code == 401
    person.password = world.seeded.password
    refused = await person.sign_in()
    assert refused.status_code == 429
    assert "Set-Cookie" not in refused.headers


async def test_a_session_knows_where_it_was_opened_and_can_be_ended_elsewhere(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    elsewhere = PersonAtCloud(world.app, world.seeded.email, world.seeded.password)
    await elsewhere.sign_in()
    here = await office.identity.sessions.person(admin.cookie)
    rows = await office.identity.sessions.sessions(here)
    assert len(rows) == 2
    assert {row.address for row in rows} == {"local"}
    assert await office.identity.sessions.end_others(here) == 1
    assert (await elsewhere.get("/v1/me")).status_code == 401
    assert (await admin.get("/v1/me")).status_code == 200


async def test_the_second_factor_stands_between_password_and_everything(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    old = admin.cookie
    await office.with_second_factor(admin)
    assert (await PersonAtCloud(world.app, "", "", cookie=old).get("/v1/me")).status_code == 401

    half = await admin.post("/login", email=admin.email, password=admin.password)
    assert half.headers["Location"] == "/login/code"
    half_cookie = admin.cookie
    for path in ("/v1/me", "/v1/orders", "/v1/users"):
        answer = await admin.get(path)
        assert (answer.status_code, await code_of(answer)) == (403, "second_factor_required"), path
    assert (await admin.post("/login/code", code="000000")).status_code == 401
    code = admin.code()
    assert (await admin.post("/login/code", code=code)).status_code == 303
    assert (await admin.get("/v1/me")).status_code == 200
    assert admin.cookie != half_cookie
    assert (await PersonAtCloud(world.app, "", "", cookie=half_cookie).get("/v1/me")).status_code == 401

    again = PersonAtCloud(world.app, admin.email, admin.password)
    await again.post("/login", email=again.email, password=again.password)
    assert (await again.post("/login/code", code=code)).status_code == 401, "a code was taken twice"


async def test_a_recovery_code_opens_once(world: World, office: Office, admin: PersonAtCloud) -> None:
    await office.with_second_factor(admin)
    recovery = admin.recovery_codes[3]
    for status in (303, 401):
        person = PersonAtCloud(world.app, admin.email, admin.password)
        await person.post("/login", email=person.email, password=person.password)
        assert (await person.post("/login/code", code=recovery.lower())).status_code == status
    known = await office.identity.sessions.person(admin.cookie)
    assert await office.identity.second_factors.recovery_codes_left(known) == rules.RECOVERY_CODES - 1
    renewed = await office.identity.second_factors.renew_recovery_codes(known)
    assert not set(renewed) & set(admin.recovery_codes)


async def test_the_seed_of_a_second_factor_is_kept_encrypted(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    await office.with_second_factor(admin)
    rows = await world.rows("SELECT totp_seed FROM user_secrets")
    assert admin.seed is not None
    assert admin.seed not in rows[0]["totp_seed"]
    assert ".gAAAA" in rows[0]["totp_seed"]


async def test_two_who_show_one_code_at_once_do_not_both_come_in(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    await office.with_second_factor(admin)
    people = [PersonAtCloud(world.app, admin.email, admin.password) for _ in range(2)]
    for person in people:
        await person.post("/login", email=person.email, password=person.password)
    code = admin.code()
    answers = await asyncio.gather(*(person.post("/login/code", code=code) for person in people))
    assert sorted(answer.status_code for answer in answers) == [303, 401]


async def test_a_forgotten_password_is_chosen_anew_by_mail_once(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    await office.identity.sign_in.forget("nobody@larder.example")
    await office.identity.sign_in.forget(world.seeded.email.upper())
    secret = (await world.mailbox.link(world.seeded.email)).removeprefix("/reset/")
    assert [message["To"] for message in world.mailbox.messages] == [world.seeded.email]
    with pytest.raises(Refused, match="wrong"):
        await office.identity.sign_in.reset(secret, "short")
    await office.identity.sign_in.reset(secret, "a wholly new pass phrase")
    with pytest.raises(Refused) as used:
        await office.identity.sign_in.reset(secret, "another new pass phrase")
    assert used.value.status == 409
    assert (await admin.get("/v1/me")).status_code == 401, "a session outlived the password"
    assert (await admin.sign_in()).status_code == 401
    admin.password = "a wholly new pass phrase"
    assert (await admin.sign_in()).status_code == 303


async def test_an_old_link_is_worth_nothing(world: World, office: Office) -> None:
    await office.identity.sign_in.forget(world.seeded.email)
    secret = (await world.mailbox.link(world.seeded.email)).removeprefix("/reset/")
    await world.rows("UPDATE password_resets SET expires_at = now()")
    with pytest.raises(Refused):
        await office.identity.sign_in.reset(secret, "a wholly new pass phrase")
    with pytest.raises(Refused):
        await office.identity.sign_in.check_reset("made up")


async def test_changing_the_password_ends_all_other_sessions(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    elsewhere = PersonAtCloud(world.app, admin.email, admin.password)
    await elsewhere.sign_in()
    known = await office.identity.sessions.person(admin.cookie)
    with pytest.raises(Refused) as wrong:
        await office.identity.sign_in.change_password(known, "not it", "a wholly new pass phrase")
    assert [error.path for error in wrong.value.errors] == ["old"]
    await office.identity.sign_in.change_password(known, admin.password, "a wholly new pass phrase")
    assert (await elsewhere.get("/v1/me")).status_code == 401
    assert (await admin.get("/v1/me")).status_code == 200


async def test_a_half_session_waits_for_ten_minutes_only(world: World, office: Office, admin: PersonAtCloud) -> None:
    await office.with_second_factor(admin)
    await admin.post("/login", email=admin.email, password=admin.password)
    rows = await world.rows("SELECT expires_at - created_at AS life FROM sessions WHERE second_factor_at IS NULL")
    assert [row["life"] for row in rows] == [timedelta(minutes=10)]


@pytest.mark.criterion("1.7")
async def test_other_sites_cannot_act_in_somebodys_name(world: World, admin: PersonAtCloud) -> None:
    wish = {"email": "eve@larder.example", "role": "admin"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        answer = await admin.ask("POST", "/v1/invitations", json=wish, headers=headers)
        assert (answer.status_code, await code_of(answer)) == (403, "forbidden")
    assert await world.rows("SELECT 1 FROM invitations") == []


async def test_signing_in_and_what_changes_it_is_audited(world: World, office: Office, admin: PersonAtCloud) -> None:
    await office.with_second_factor(admin)
    await admin.sign_in()
    known = await office.identity.sessions.person(admin.cookie)
    await office.identity.sign_in.change_password(known, admin.password, "a wholly new pass phrase")
    await office.identity.sessions.end_others(known)
    entries = (await (await admin.get("/v1/audit?limit=6")).get_json())["entries"]
    assert [entry["action"] for entry in reversed(entries)] == [
        "signed_in",  # the fixture's
        "signed_in",  # before there was a second factor
        "second_factor_added",
        "signed_in",
        "password_changed",
        "signed_out_everywhere",
    ]
    assert {entry["actor"]["name"] for entry in entries} == {"Demo Admin"}


async def test_a_session_that_was_ended_meanwhile_is_made_whole_by_no_code(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    await office.with_second_factor(admin)
    half = PersonAtCloud(world.app, admin.email, admin.password, seed=admin.seed, steps_used=admin.steps_used)
    await half.post("/login", email=half.email, password=half.password)
    known = await office.identity.sessions.person(half.cookie)
    await office.identity.sessions.end_others(await office.identity.sessions.person(admin.cookie))
    with pytest.raises(Unauthenticated):
        await office.identity.sign_in.show_second_factor(known, half.code(), Visitor("test", "test"))


async def test_a_form_with_nul_is_refused(world: World) -> None:
    for path in ("/login", "/forgot"):
        answer = await PersonAtCloud(world.app, "", "").post(path, email="a\0b@c.example", password="x")
        assert answer.status_code == 400, path
