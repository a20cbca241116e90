"""Sessions are ended by those who look after users; and what people do to their own is written down."""

import pytest

from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud


async def id_of(person: PersonAtCloud) -> str:
    return str((await (await person.get("/v1/me")).get_json())["id"])


async def actions(person: PersonAtCloud, limit: int = 1) -> list[str]:
    entries = (await (await person.get(f"/v1/audit?limit={limit}")).get_json())["entries"]
    return [entry["action"] for entry in entries]


@pytest.mark.criterion("1.4")
async def test_all_sessions_of_a_member_are_ended(world: World, office: Office, admin: PersonAtCloud) -> None:
    person = await office.invited(admin, "vera@larder.example", "viewer")
    await person.sign_in()
    person_id = await id_of(person)
    elsewhere = PersonAtCloud(world.app, person.email, person.password)
    await elsewhere.sign_in()
    ended = await admin.ask("DELETE", f"/v1/users/{person_id}/sessions")
    assert (ended.status_code, await ended.get_json()) == (200, {"sessions": 2})
    for session in (person, elsewhere):
        assert (await session.get("/v1/me")).status_code == 401
    assert await actions(admin) == ["sessions_ended"]
    await person.sign_in()
    assert (await person.get("/v1/me")).status_code == 200, "no right was taken"

    owner = await office.owner(world.tenant_id)
    for path in (await id_of(owner), "01890000-0000-7000-8000-00000000dead"):
        refused = await admin.ask("DELETE", f"/v1/users/{path}/sessions")
        assert refused.status_code == (404 if path.endswith("dead") else 403)
    assert (await person.ask("DELETE", f"/v1/users/{await id_of(admin)}/sessions")).status_code == 403
    assert (await owner.get("/v1/me")).status_code == 200

    assert "End all sessions" in await (await admin.get(f"/users/{person_id}")).get_data(as_text=True)
    assert (await admin.post(f"/users/{person_id}/sessions")).headers["Location"] == f"/users/{person_id}"
    assert (await person.get("/v1/me")).status_code == 401


async def test_what_people_do_to_themselves_is_audited(world: World, admin: PersonAtCloud) -> None:
    elsewhere = PersonAtCloud(world.app, admin.email, admin.password)
    await elsewhere.sign_in()
    (session,) = await world.rows("SELECT id FROM sessions ORDER BY created_at DESC LIMIT 1")
    assert (await admin.post(f"/account/sessions/{session['id']}")).status_code == 303
    assert (await admin.post(f"/account/sessions/{session['id']}")).status_code == 404
    assert (await admin.post("/account/name", name="Dora")).status_code == 303
    assert await actions(admin, 3) == ["user_renamed", "session_ended", "signed_in"]
