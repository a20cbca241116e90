"""A second factor that takes another's place: for a new phone, also where the role needs one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest

from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud
from tests.fakes.postgres_cloud import tenant_rows
from tests.fakes.until import until

HERE = "/v1/me/second-factor/replacement"


async def begin(person: PersonAtCloud, code: str, password: str | None = None) -> tuple[int, dict[str, Any]]:
    answer = await person.ask("POST", HERE, json={"password": password or person.password, "code": code})
    return answer.status_code, dict(await answer.get_json())


async def confirm(person: PersonAtCloud, seed: str, status: int = 200) -> dict[str, Any]:
    answer = await person.ask("POST", f"{HERE}/confirmation", json={"code": pyotp.TOTP(seed).now()})
    assert answer.status_code == status, await answer.get_data()
    return dict(await answer.get_json())


def paths(problem: dict[str, Any]) -> list[str]:
    return [error["path"] for error in problem["errors"]]


def subjects(world: World) -> list[str]:
    return [message["Subject"] for message in world.mailbox.messages]


@pytest.mark.criterion("1.2")
async def test_an_owner_with_a_new_phone_replaces_their_second_factor(world: World, office: Office) -> None:
    owner = await office.owner(world.tenant_id)
    elsewhere = PersonAtCloud(world.app, owner.email, owner.password, owner.seed, steps_used=owner.steps_used)
    recovery = owner.recovery_codes
    await elsewhere.post("/login", email=owner.email, password=owner.password)
    assert (await elsewhere.post("/login/code", code=recovery[0])).status_code == 303

    status, problem = await begin(owner, recovery[1], "not the password")
    assert (status, paths(problem)) == (422, ["password"])
    status, problem = await begin(owner, "000000")
    assert (status, paths(problem)) == (422, ["code"])
    assert (await owner.ask("POST", f"{HERE}/confirmation", json={"code": "123456"})).status_code == 409
    status, new = await begin(owner, recovery[1])
    assert status == 200
    rows = await tenant_rows(
        world.database, world.tenant_id, "SELECT totp_next_seed FROM user_secrets", address=owner.email
    )
    assert new["seed"] not in rows[0]["totp_next_seed"]
    assert ".gAAAA" in rows[0]["totp_next_seed"]

    await confirm(elsewhere, new["seed"], 409)
    assert (await elsewhere.get(HERE.replace("/v1/me", "/account"))).status_code == 303, "another session saw the seed"
    assert (await elsewhere.get("/v1/me")).status_code == 200
    codes = (await confirm(owner, new["seed"]))["recovery_codes"]
    assert (await owner.get("/v1/me")).status_code == 200
    assert (await elsewhere.get("/v1/me")).status_code == 401, "another session outlived the second factor"
    await until(lambda: "Your second factor for Larder was replaced" in subjects(world))
    (entry, *_) = (await (await owner.get("/v1/audit?limit=1")).get_json())["entries"]
    assert (entry["action"], entry["actor"]["name"]) == ("second_factor_replaced", "Olga Owner")

    for worthless in (owner.code(), recovery[2]):
        await elsewhere.post("/login", email=owner.email, password=owner.password)
        assert (await elsewhere.post("/login/code", code=worthless)).status_code == 401
    assert (await elsewhere.post("/login/code", code=codes[0])).status_code == 303


async def test_what_was_begun_waits_for_ten_minutes(world: World, office: Office, admin: PersonAtCloud) -> None:
    assert (await begin(admin, "123456"))[0] == 403, "there was none to replace"
    await office.with_second_factor(admin)
    status, new = await begin(admin, admin.code())
    assert (status, datetime.fromisoformat(new["expires_at"]) - datetime.now(UTC) < timedelta(minutes=10)) == (
        200,
        True,
    )
    await world.rows("UPDATE user_secrets SET totp_next_until = now()")
    await confirm(admin, new["seed"], 409)


async def test_the_pages_lead_through_it(office: Office, admin: PersonAtCloud) -> None:
    await office.with_second_factor(admin)
    place = "/account/second-factor/replacement"
    page = await (await admin.get("/account/second-factor")).get_data(as_text=True)
    assert f'action="{place}"' in page
    wrong = await admin.post(place, password="wrong", code="000000")
    assert wrong.status_code == 422
    assert "Is not your password." in await wrong.get_data(as_text=True)
    assert (await admin.get(place)).headers["Location"] == "/account/second-factor"
    begun = await admin.post(place, password=admin.password, code=admin.code())
    assert begun.headers["Location"] == place
    shown = await (await admin.get(place)).get_data(as_text=True)
    assert "The one you have counts until" in shown
    seed = shown.partition('id="seed"')[2].partition(">")[2].partition("<")[0].replace(" ", "")
    again = await admin.post(f"{place}/code", code="000000")
    assert (again.status_code, seed[:4] in await again.get_data(as_text=True)) == (422, True)
    done = await admin.post(f"{place}/code", code=pyotp.TOTP(seed).now())
    assert "Your recovery codes" in await done.get_data(as_text=True)
    admin.seed = seed
    assert (await admin.sign_in()).status_code == 303
