"""A webhook knows who made it, outlives them by name, and is made by nobody who may not any more."""

from uuid import UUID

import pytest

from cloud.callers import Actor, ActorKind, Operator, Scope, member
from cloud.clock import Clock
from cloud.errors import Refused
from cloud.permissions import Permission, Role
from cloud.webhooks.destinations import Allowed
from cloud.webhooks.messages import WebhookWish
from cloud.webhooks.rules import EventType
from cloud.webhooks.service import WebhookService
from tests.cloud.auth.conftest import admin, office  # noqa: F401  fixtures
from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud
from tests.fakes.encryption_keys import keyring

WISH = WebhookWish(url="https://erp.example.com/in", events=(EventType.SLOT_EMPTY,), description="ERP")


async def test_a_key_or_person_that_ended_meanwhile_leaves_no_webhook_behind(
    world: World,
    office: Office,  # noqa: F811
    admin: PersonAtCloud,  # noqa: F811
) -> None:
    """They were let in before."""
    service = WebhookService(world.database, keyring(), Clock(), Allowed())
    scopes = ["webhooks:write", "webhooks:read"]
    key = await (await admin.ask("POST", "/v1/api-keys", json={"name": "hooks", "scopes": scopes})).get_json()
    program = Actor(ActorKind.API_KEY, UUID(key["key_id"]), "hooks")
    by_key = Operator(world.tenant_id, program, frozenset({Permission.WEBHOOKS_WRITE}))
    made = await world.do(lambda transaction: service.create(transaction, by_key, WISH))
    assert made.webhook.created_by == "hooks"
    ada = await office.invited(admin, "ada@larder.example", "admin")
    await ada.sign_in()
    ada_id = (await (await ada.get("/v1/me")).get_json())["id"]
    by_ada = member(world.tenant_id, Actor(ActorKind.USER, UUID(ada_id), "Ada"), Role.ADMIN, Scope())
    for path in (f"/v1/api-keys/{key['key_id']}", f"/v1/users/{ada_id}"):
        assert (await admin.ask("DELETE", path)).status_code == 200
    for gone in (by_key, by_ada):
        with pytest.raises(Refused) as late:
            await world.do(lambda transaction, gone=gone: service.create(transaction, gone, WISH))  # type: ignore[misc]
        assert late.value.status == 403
    assert len(await world.rows("SELECT 1 FROM webhook_endpoints")) == 1


async def test_the_dialog_that_removes_somebody_names_the_webhooks_that_stay(
    world: World,
    office: Office,  # noqa: F811
    admin: PersonAtCloud,  # noqa: F811
) -> None:
    ada = await office.invited(admin, "ada@larder.example", "admin")
    await ada.sign_in()
    page = f"/users/{(await (await ada.get('/v1/me')).get_json())['id']}"
    assert "webhook" not in dialog(await (await admin.get(page)).get_data(as_text=True))
    key = {"name": "hooks", "scopes": ["webhooks:write"]}
    secret = (await (await ada.ask("POST", "/v1/api-keys", json=key)).get_json())["secret"]
    for person, host, headers in (
        (ada, "own.example.com", {}),
        (PersonAtCloud(world.app, "", ""), "by-key.example.com", {"Authorization": f"Bearer {secret}"}),
        (admin, "others.example.com", {}),
    ):
        wish = {"url": f"https://{host}/in", "events": ["slot.empty"]}
        assert (await person.ask("POST", "/v1/webhooks", json=wish, headers=headers)).status_code == 201
    shown = dialog(await (await admin.get(page)).get_data(as_text=True))
    assert "2 webhooks that they, or keys of theirs, made stay" in shown
    assert ("own.example.com" in shown, "by-key.example.com" in shown, "others" in shown) == (True, True, False)
    assert "An API key that they made is revoked" in shown
    listed = (await (await admin.get("/v1/webhooks")).get_json())["webhooks"]
    assert {row["created_by"] for row in listed} == {"Ada", "hooks", "Demo Admin"}


def dialog(page: str) -> str:
    return page.partition('id="removal"')[2].partition("</dialog>")[0]
