"""A platform admin stands outside tenants, and comes in for a reason and for a while."""

from uuid import UUID

import asyncpg
import pytest

from cloud.auth.sessions import Person
from cloud.clock import new_id
from cloud.errors import NotFound, Refused
from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud

REASON = "ticket 4711: their printer prints no labels"


async def known(office: Office, person: PersonAtCloud) -> Person:
    return await office.identity.sessions.person(person.cookie)


@pytest.mark.criterion("1.4")
async def test_outside_a_visit_they_see_names_and_nothing_else(office: Office, platform: PersonAtCloud) -> None:
    pia = await known(office, platform)
    names = [row.name for row in await office.identity.visits.tenants(pia, ("", UUID(int=0)), 10)]
    assert names == ["Demo Vending"]
    for path in ("/v1/orders", "/v1/users", "/v1/me"):
        assert (await platform.get(path)).status_code == 403


@pytest.mark.criterion("1.4")
async def test_a_visit_is_told_to_the_tenant_and_ends(
    world: World, office: Office, platform: PersonAtCloud, admin: PersonAtCloud
) -> None:
    await office.identity.visits.begin(await known(office, platform), world.tenant_id, REASON, 30)
    assert (await platform.get("/v1/orders")).status_code == 200
    me = await (await platform.get("/v1/me")).get_json()
    assert (me["kind"], me["name"]) == ("platform", "Pia")
    for path, wish in (
        ("/v1/api-keys", {"name": "stays", "scopes": ["orders:read"]}),
        ("/v1/invitations", {"email": "pia@home.example", "role": "admin"}),
    ):
        assert (await platform.ask("POST", path, json=wish)).status_code == 403, "what a visitor makes would stay"
    entry = (await (await admin.get("/v1/audit")).get_json())["entries"][0]
    assert (entry["action"], entry["actor"]["kind"]) == ("tenant_entered", "platform")
    assert entry["after"] == {"reason": REASON, "minutes": 30}
    await world.rows("UPDATE platform_visits SET began_at = now() - interval '50 minutes', ends_at = now()")
    assert (await platform.get("/v1/orders")).status_code == 403


async def test_they_go_when_they_want_to(world: World, office: Office, platform: PersonAtCloud) -> None:
    await office.identity.visits.begin(await known(office, platform), world.tenant_id, REASON, 30)
    await office.identity.visits.end(await known(office, platform))
    assert (await platform.get("/v1/orders")).status_code == 403
    assert await office.identity.visits.running(await known(office, platform)) is None


@pytest.mark.parametrize(("reason", "minutes", "field"), [("why", 30, "reason"), (REASON, 61, "minutes")])
async def test_no_visit_without_a_reason_or_for_ever(
    world: World, office: Office, platform: PersonAtCloud, reason: str, minutes: int, field: str
) -> None:
    with pytest.raises(Refused) as refused:
        await office.identity.visits.begin(await known(office, platform), world.tenant_id, reason, minutes)
    assert [error.path for error in refused.value.errors] == [field]
    assert await world.rows("SELECT 1 FROM platform_visits") == []


async def test_nobody_else_visits(world: World, office: Office, admin: PersonAtCloud, platform: PersonAtCloud) -> None:
    with pytest.raises(Refused):
        await office.identity.visits.begin(await known(office, admin), world.tenant_id, REASON, 30)
    with pytest.raises(NotFound):
        await office.identity.visits.begin(await known(office, platform), new_id(), REASON, 30)


async def test_the_application_makes_nobody_a_platform_admin(world: World, admin: PersonAtCloud) -> None:
    columns, values = "id, email, email_key, name, is_platform_admin", "current_person(), 'x@y.z', 'x@y.z', 'x', true"
    for statement in (
        "UPDATE users SET is_platform_admin = true",
        f"INSERT INTO users ({columns}) SELECT {values}",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await world.rows(statement)
