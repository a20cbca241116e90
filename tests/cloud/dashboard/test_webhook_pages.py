"""The pages of webhooks over HTTP: made, looked into, sent again, and what they say when nothing is there."""

from uuid import uuid4

from cloud.dashboard.webhooks import EVENTS
from cloud.webhooks.rules import EventType
from tests.cloud.conftest import World
from tests.cloud.dashboard.test_people_pages import text, where
from tests.fakes.cloud_people import Office, PersonAtCloud

PAGE = {"Accept": "text/html"}


def test_all_events_have_words() -> None:
    assert [event for event, _ in EVENTS] == list(EventType)


async def test_a_webhook_is_made_tried_changed_and_deleted(world: World, admin: PersonAtCloud) -> None:
    assert "No webhooks yet." in await text(admin, "/webhooks")
    wrong = await admin.ask("POST", "/webhooks/new", headers=PAGE, form={"url": "https://10.0.0.1/", "events": "ping"})
    assert wrong.status_code == 422
    assert "Choose at least one thing" in await wrong.get_data(as_text=True)
    wish = {"url": "https://10.0.0.1/", "events": "order.placed"}
    inside = await admin.ask("POST", "/webhooks/new", headers=PAGE, form=wish)
    assert "not on the internet" in await inside.get_data(as_text=True)
    wish["url"] = "https://erp.example.com/larder"
    made = str(await (await admin.ask("POST", "/webhooks/new", headers=PAGE, form=wish)).get_data(as_text=True))
    assert 'value="whsec_' in made
    (row,) = await world.rows("SELECT id FROM webhook_endpoints")
    here = f"/webhooks/{row['id']}"
    page = await text(admin, here)
    assert "Nothing was sent yet." in page
    delivery = await where(admin, "POST", f"{here}/ping")
    page = await text(admin, delivery)
    assert ("Not tried yet." in page, "waiting" in page) == (True, True)
    assert "&#34;type&#34;:&#34;ping&#34;" in page
    insert = "INSERT INTO webhook_attempts SELECT tenant_id, id, 1, now(), 12, 500, 'status 500', '<b>no' "
    await world.rows(f"{insert} FROM webhook_deliveries")
    await world.rows("UPDATE webhook_deliveries SET state = 'dead', attempts = 1")
    page = await text(admin, delivery)
    assert ("&lt;b&gt;no" in page, "status 500" in page) == (True, True)
    assert "Nothing like this." in await text(admin, f"{here}?state=delivered")
    assert "dead" in await text(admin, f"{here}?state=dead")
    await text(admin, f"{here}?state=nonsense", 422)
    await where(admin, "POST", f"{here}/replay", **{"from": "2020-01-01", "to": "2099-01-01"})
    assert await world.rows("SELECT state FROM webhook_deliveries") == [{"state": "waiting"}]
    assert await where(admin, "POST", f"{here}/replay", **{"from": "x", "to": ""}) == here
    assert await where(admin, "POST", f"{delivery}/replay") == delivery
    form = {"url": wish["url"], "description": "the ERP", "events": "slot.empty"}
    assert await where(admin, "POST", f"{here}/edit", **form) == here
    assert 'value="the ERP"' in await text(admin, f"{here}/edit")
    await where(admin, "POST", f"{here}/state", enabled="no")
    page = await text(admin, here)
    assert "It is disabled: nothing is noted down for it." in page
    assert await where(admin, "POST", f"{here}/ping") == here
    await where(admin, "POST", f"{here}/state", enabled="yes")
    await world.rows("UPDATE webhook_endpoints SET failing_since = now()")
    assert "Nothing has got through since" in await text(admin, here)
    assert "failing" in await text(admin, "/webhooks")
    rotated = await admin.ask("POST", f"{here}/secret", headers=PAGE)
    assert "the secret of before signs, too" in await rotated.get_data(as_text=True)
    assert await where(admin, "POST", f"{here}/deletion") == "/webhooks"
    await text(admin, here, 404)


async def test_only_the_office_sees_them(world: World, office: Office, admin: PersonAtCloud) -> None:
    operator = await office.invited(admin, "otto@larder.example", "operator")
    await operator.sign_in()
    assert 'href="/webhooks"' not in await text(operator, "/orders")
    for path in ("/webhooks", f"/webhooks/{uuid4()}"):
        await text(operator, path, 403)
    assert 'href="/webhooks"' in await text(admin, "/orders")
