"""/v1/webhooks as an engineer uses it."""

from uuid import uuid4

import pytest

from tests.cloud.webhooks.conftest import Hooks

WISH = {"url": "https://erp.example.com/secret-path", "events": ["order.placed", "vend.failed", "order.placed"]}


@pytest.mark.criterion("5.1")
async def test_a_webhook_is_made_shown_changed_and_deleted(hooks: Hooks) -> None:
    once = {"Idempotency-Key": str(uuid4())}
    first, again = [await hooks.ask("POST", "/v1/webhooks", json=WISH, headers=once) for _ in range(2)]
    made = await first.get_json()
    assert await again.get_json() == made
    assert made["secret"].startswith("whsec_")
    assert made["webhook"]["events"] == ["order.placed", "vend.failed"]
    path = f"/v1/webhooks/{made['webhook']['webhook_id']}"
    shown = await hooks.ask("GET", path)
    assert await shown.get_json() == made["webhook"]
    assert made["secret"] not in str(await (await hooks.ask("GET", "/v1/webhooks")).get_json())
    seen = {"If-Match": shown.headers["ETag"]}
    changed = await hooks.ask("PATCH", path, json={"description": "ERP", "events": ["slot.empty"]}, headers=seen)
    told = await changed.get_json()
    assert (told["description"], told["events"], told["url"]) == ("ERP", ["slot.empty"], WISH["url"])
    assert (await hooks.ask("PATCH", path, json={"enabled": False}, headers=seen)).status_code == 412
    disabled = await (await hooks.ask("PATCH", path, json={"enabled": False})).get_json()
    assert (disabled["enabled"], disabled["disabled_because"]) == (False, "asked")
    assert (await hooks.ask("DELETE", path)).status_code == 204
    assert (await hooks.ask("DELETE", path)).status_code == 404
    assert (await hooks.get("/v1/webhooks"))["webhooks"] == []
    entries = await hooks.world.rows("SELECT action, before, after FROM audit_entries WHERE subject_kind = 'webhook'")
    actions = ["webhook_created", "webhook_changed", "webhook_changed", "webhook_deleted"]
    assert [entry["action"] for entry in entries] == actions
    assert "erp.example.com" in entries[0]["after"]
    assert "secret-path" not in str(entries)


@pytest.mark.criterion("5.5")
async def test_what_cannot_be_is_refused_by_field(hooks: Hooks) -> None:
    path = f"/v1/webhooks/{(await hooks.create('slot.empty'))['webhook_id']}"
    for edit, field in (
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://erp.example.com:22/"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["ping"]}, "events.0"),
    ):
        for method, where, body in (("PATCH", path, edit), ("POST", "/v1/webhooks", WISH | edit)):
            refused = await hooks.ask(method, where, json=body)
            assert refused.status_code == 422, edit
            assert (await refused.get_json())["errors"][0]["path"] == field
    made_up = f"/v1/webhooks/{uuid4()}"
    assert (await hooks.ask("PATCH", made_up, json={"enabled": True})).status_code == 404
    for path in (f"{made_up}/ping", f"{made_up}/secret", f"{made_up}/deliveries/{uuid4()}/replay"):
        assert (await hooks.ask("POST", path)).status_code == 404
    for path in (f"{made_up}/deliveries", f"{made_up}/deliveries/{uuid4()}"):
        assert (await hooks.ask("GET", path)).status_code == 404


async def test_a_tenant_has_so_many_endpoints_and_no_more(hooks: Hooks) -> None:
    answers = [await hooks.ask("POST", "/v1/webhooks", json=WISH) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [201] * 20 + [409]
