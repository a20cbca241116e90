"""The pages of people over HTTP: where they lead, whom they let by, and what they say when they do not."""

import asyncio
import re
from pathlib import Path

import pytest
from quart import Blueprint, Quart

from cloud.auth.sessions import Visitor
from cloud.clock import Clock
from cloud.commands.serving import shown_mail
from cloud.dashboard import shell
from cloud.dashboard.assets import Assets
from cloud.dashboard.audit import changes
from cloud.dashboard.mails import MailPages, clickable
from cloud.dashboard.roles import PERMISSIONS, ROLES
from cloud.dashboard.wording import browser
from cloud.errors import SettingsError
from cloud.mail import FolderCarrier, Mail, MailRoom
from cloud.permissions import Permission, Role
from cloud.sources import load
from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud
from tests.fakes.postgres_cloud import tenant_rows

PAGE = {"Accept": "text/html"}


async def text(person: PersonAtCloud, path: str, status: int = 200) -> str:
    answer = await person.ask("GET", path, headers=PAGE)
    assert answer.status_code == status, path
    return str(await answer.get_data(as_text=True))


async def where(person: PersonAtCloud, method: str, path: str, **form: str) -> str:
    answer = await person.ask(method, path, headers=PAGE, form=form)
    assert answer.status_code in {302, 303}, (path, answer.status_code)
    return str(answer.headers["Location"])


def test_roles_and_permissions_all_have_words() -> None:
    assert set(ROLES) == set(Role)
    named = [permission for _, rights in PERMISSIONS for permission, _ in rights]
    assert sorted(named) == sorted(Permission)


async def test_signing_in_leads_back_and_never_elsewhere(world: World) -> None:
    person = PersonAtCloud(world.app, world.seeded.email, world.seeded.password)
    assert await where(person, "GET", "/audit?q=a%26b&action=") == "/login?next=%2Faudit%3Fq%3Da%2526b%26action%3D"
    assert 'action="/login?next=%2Fkeys"' in await text(person, "/login?next=/keys")
    for given, led in (("/keys", "/keys"), ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil", "/")):
        form = {"email": person.email, "password": person.password}
        assert await where(person, "POST", f"/login?next={given}", **form) == led
    assert await where(person, "GET", "/") == "/orders"
    person.cookie = ""
    key = await world.client.get("/orders", headers=world.operator)
    assert key.status_code == 302, "pages are for people"
    assert await where(person, "POST", "/keys/new", name="x") == "/login?next=%2Fkeys%2Fnew"


async def test_who_tries_too_often_is_told_for_how_long_to_wait(world: World) -> None:
    person = PersonAtCloud(world.app, "nobody@larder.example", "wrong")
    for _ in range(10):
        assert (await person.sign_in()).status_code == 401
    answer = await person.sign_in()
    assert answer.status_code == 429
    assert re.search(r"Too many tries\. Wait \d+ seconds", await answer.get_data(as_text=True))


async def test_nobody_learns_by_a_forgotten_password_who_has_an_account(world: World) -> None:
    person = PersonAtCloud(world.app, "", "")
    said = []
    for email in (world.seeded.email, "nobody@larder.example"):
        answer = await person.post("/forgot", email=email)
        said.append((answer.status_code, (await answer.get_data(as_text=True)).replace(email, "…")))
    assert said[0] == said[1]
    link = await world.mailbox.link(world.seeded.email)
    assert world.seeded.email in await text(person, link)
    weak = await person.post(link, password="short")
    assert "Must have at least 12 characters." in await weak.get_data(as_text=True)
    assert await where(person, "POST", link, password="a new and long pass phrase") == "/login"
    assert "This link does not work any more" in await text(person, link, 409)


async def test_what_asks_for_a_second_factor_leads_there_and_back(world: World, office: Office) -> None:
    owner = await office.owner(world.tenant_id)
    half = await office.identity.sign_in.sign_in(owner.email, owner.password, Visitor("test", "test"))
    owner.cookie = half.secret
    assert await where(owner, "GET", "/users") == "/login/code?next=%2Fusers"
    assert await where(owner, "POST", "/login/code?next=//evil.example", code=owner.code()) == "/"
    aged = "UPDATE sessions SET second_factor_at = now() - interval '16 minutes'"
    await tenant_rows(world.database, world.tenant_id, aged, address=owner.email)
    recovery = "/account/second-factor/recovery-codes"
    assert await where(owner, "POST", recovery) == "/login/code?next=%2Faccount%2Fsecond-factor"
    assert "once more" in await text(owner, "/login/code")


async def test_a_role_that_needs_a_second_factor_goes_nowhere_without(world: World, office: Office) -> None:
    owner = await office.owner(world.tenant_id)
    joined = await office.invited(owner, "orla@larder.example", "owner")
    assert (await joined.sign_in()).headers["Location"] == "/"
    assert await where(joined, "GET", "/") == "/account/second-factor"
    assert await where(joined, "GET", "/orders") == "/account/second-factor?next=%2Forders"
    page = await text(joined, "/account/second-factor")
    assert "<svg" in page
    assert 'href="/orders"' not in page


async def test_pages_show_only_what_a_role_may_do(world: World, office: Office, admin: PersonAtCloud) -> None:
    viewer = await office.invited(admin, "vera@larder.example", "viewer")
    await viewer.sign_in()
    orders = await text(viewer, "/orders")
    assert 'href="/users"' not in orders
    for path in ("/users", "/keys", "/audit", "/platform", "/users/invite"):
        assert "You may not do this" in await text(viewer, path, 403), path
    users = await text(admin, "/users")
    assert "Demo Admin" in users
    assert 'value="owner"' not in await text(admin, "/users/invite"), "an admin makes no owners"
    assert 'value="firmware:write"' not in await text(admin, "/keys/new")


async def test_somebody_known_signs_in_and_joins(world: World, office: Office, admin: PersonAtCloud) -> None:
    viewer = await office.invited(admin, "vera@larder.example", "viewer")
    await viewer.sign_in()
    page = await text(viewer, "/account")
    (member,) = await world.rows("SELECT id FROM users WHERE name = 'Vera'")
    assert await where(viewer, "POST", "/account/name", name="Vera Ray") == "/account"
    assert await where(admin, "POST", f"/users/{member['id']}/removal") == "/users"
    assert "You belong to no business" in await text(viewer, "/account")
    assert "this one" in page
    await admin.ask("POST", "/v1/invitations", json={"email": viewer.email, "role": "finance"})
    link = await world.mailbox.link(viewer.email, 2)
    stranger = PersonAtCloud(world.app, "", "")
    assert f"/login?next={link.replace('/', '%2F')}" in await text(stranger, link)
    assert "Join as Vera Ray" in await text(viewer, link)
    assert await where(viewer, "POST", f"{link}/accept") == "/"
    assert "Finance · Demo Vending" in await text(viewer, "/audit")
    assert await where(viewer, "POST", "/tenant", tenant_id=world.seeded.tenant_id) == "/"
    assert (await viewer.post("/tenant", tenant_id=world.seeded.site_id)).status_code == 404


async def test_invitations_are_sent_again_and_withdrawn(world: World, office: Office, admin: PersonAtCloud) -> None:
    form = {"email": "tom@larder.example", "role": "technician", "part": "all"}
    assert await where(admin, "POST", "/users/invite", **form) == "/users"
    first = await world.mailbox.link("tom@larder.example")
    (row,) = await world.rows("SELECT id FROM invitations WHERE accepted_at IS NULL AND revoked_at IS NULL")
    assert await where(admin, "POST", f"/users/invitations/{row['id']}/mail") == "/users"
    second = await world.mailbox.link("tom@larder.example", 2)
    stranger = PersonAtCloud(world.app, "", "")
    assert "does not work any more" in await text(stranger, first, 409)
    assert "Join Demo Vending" in await text(stranger, second)
    assert await where(admin, "POST", f"/users/invitations/{row['id']}/withdrawal") == "/users"
    assert "does not work any more" in await text(stranger, second, 409)


async def test_a_key_has_a_successor_before_it_goes(world: World, admin: PersonAtCloud) -> None:
    none = await admin.post("/keys/new", name="Export", days="90")
    assert "Choose at least one thing that the key may do." in await none.get_data(as_text=True)
    made = await admin.post("/keys/new", name="Export", days="90", scopes="orders:read")
    assert 'value="larder_' in await made.get_data(as_text=True)
    (key,) = await world.rows("SELECT id FROM api_keys WHERE name = 'Export'")
    rotated = await admin.post(f"/keys/{key['id']}/rotation")
    assert "works on" in await rotated.get_data(as_text=True)
    assert await where(admin, "POST", f"/keys/{key['id']}/rotation") == "/keys", "two are in use already"
    assert await where(admin, "POST", f"/keys/{key['id']}/revocation") == "/keys"
    page = await text(admin, "/keys")
    assert page.count(">Export<") >= 2
    assert "revoked" in page
    assert "API key revoked" in await text(admin, "/audit?action=api_key_revoked")
    assert "must be a day" in (await text(admin, "/audit?from=x", 422)).lower()
    assert "Nothing was done like this." in await text(admin, "/audit?q=unheard-of")


async def test_a_visit_is_seen_on_every_page_until_it_ends(world: World, platform: PersonAtCloud) -> None:
    assert await where(platform, "GET", "/") == "/platform"
    assert "Demo Vending" in await text(platform, "/platform")
    place = f"/platform/{world.tenant_id}"
    short = await platform.post(place, reason="because", minutes="30")
    assert "Must have 10 to 500 characters." in await short.get_data(as_text=True)
    reason = "ticket 4711: their printer prints no labels"
    assert await where(platform, "POST", place, reason=reason, minutes="30") == "/"
    page = await text(platform, "/orders")
    assert reason in page
    assert 'action="/platform/leave"' in page
    assert await where(platform, "POST", "/platform/leave") == "/platform"
    await text(platform, "/orders", 403)


async def test_mail_is_shown_in_development_only(world: World, tmp_path: Path) -> None:
    assert (await world.client.get("/mail")).status_code == 404
    folder = load({"LARDER_CLOUD_SHOW_MAIL": "1", "LARDER_CLOUD_STATE_DIR": str(tmp_path)}).settings
    assert shown_mail(folder) == tmp_path / "mail"
    assert shown_mail(load({}).settings) is None
    for wrong in (
        {"LARDER_CLOUD_HOST": "192.0.2.1"},
        {"LARDER_CLOUD_ENVIRONMENT": "staging"},
        {"LARDER_CLOUD_MAIL_URL": "smtp://mail.example:25?plain=1"},
    ):
        with pytest.raises(SettingsError, match="SHOW_MAIL"):
            shown_mail(load({"LARDER_CLOUD_SHOW_MAIL": "1", **wrong}).settings)
    pages = Blueprint("dashboard", shell.__name__, template_folder="templates")
    around = shell.Shell(Assets())
    around.install(pages)
    MailPages(around, tmp_path).register(pages)
    app = Quart("mail", static_folder=None)
    app.register_blueprint(pages)
    assert "No mail yet." in await (await app.test_client().get("/mail")).get_data(as_text=True)
    room = MailRoom(FolderCarrier(tmp_path), "Larder <larder@larder.example>", Clock())
    carrying = asyncio.create_task(room.run(), name="mail of the test")
    room.send(Mail("vera@larder.example", "Join <us>", "Look:\n\nhttps://cloud.example/x\n"))
    await room.settled()
    carrying.cancel()
    (mail,) = tmp_path.glob("*.eml")
    assert f'<a href="/mail/{mail.stem}">Join &lt;us&gt;</a>' in await (await app.test_client().get("/mail")).get_data(
        as_text=True
    )
    shown = await (await app.test_client().get(f"/mail/{mail.stem}")).get_data(as_text=True)
    assert '<a href="https://cloud.example/x">' in shown
    assert '<a href="https://a.example/x?b">https://a.example/x?b</a>' in clickable(
        "Hello <b>,\n\nhttps://a.example/x?b\n"
    )
    assert "&lt;b&gt;" in clickable("Hello <b>,")


def test_changes_are_told_field_by_field() -> None:
    before = {"role": "viewer", "machines": [], "sites": ["1"], "gone": None}
    told = changes(before, {"role": "owner", "machines": ["2", "3"], "is_new": True}, {"2": "Drinks"})
    assert [(change.name, change.before, change.after) for change in told] == [
        ("Role", "viewer", "owner"),
        ("Machines", "", "Drinks, 3"),
        ("Sites", "1", ""),
        ("Is new", "", "yes"),
    ]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0 Safari/537.36", "Chrome on Android"),
        ("curl/8", "A browser"),
    ],
)
def test_browsers_have_names(agent: str, name: str) -> None:
    assert browser(agent) == name
