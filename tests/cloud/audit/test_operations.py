"""What operators, gateways and commands do is in the audit log, with who did it."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.cloud.conftest import JSON, World
from tests.cloud.processes import gateway_command


async def entries(world: World, query: str = "") -> list[dict[str, Any]]:
    answer = await world.client.get(f"/v1/audit{query}", headers=world.operator)
    assert answer.status_code == 200, await answer.get_data()
    found: list[dict[str, Any]] = (await answer.get_json())["entries"]
    return found


@pytest.mark.criterion("4.1")
async def test_what_came_before_the_first_request_is_there(world: World) -> None:
    assert [(row["action"], row["actor"]["kind"]) for row in (await entries(world))[::-1]] == [
        ("tenant_created", "system"),
        ("claim_code_issued", "system"),
        ("api_key_created", "system"),
        ("gateway_claimed", "gateway"),
    ]
    (claimed, *_) = await entries(world)
    assert (claimed["actor"]["name"], claimed["subject"]["kind"]) == ("Demo Street gateway", "gateway")
    assert claimed["request_id"] != ""


@pytest.mark.criterion("4.1")
async def test_an_instruction_is_told_once_with_its_request_and_without_its_pin(world: World) -> None:
    slot = await world.slot()
    wish = {"action": "jog", "slot": "A1", "pin": "48151623"}
    headers = world.operator | JSON | {"Idempotency-Key": str(uuid4())}
    path = f"/v1/devices/{slot.device_id}/instructions"
    first = await world.client.post(path, json=wish, headers=headers)
    await world.client.post(path, json=wish, headers=headers)
    (row,) = await entries(world, "?action=device_instructed")
    assert row["request_id"] == first.headers["X-Request-Id"]
    assert row["actor"] == {"kind": "api_key", "name": "demo", "id": row["actor"]["id"]}
    assert row["subject"] == {"kind": "device", "id": str(slot.device_id)}
    assert row["before"] is None
    assert row["after"]["action"] == "jog"
    assert "48151623" not in json.dumps(row)


async def test_what_is_refused_leaves_no_entry(world: World) -> None:
    before = len(await entries(world))
    wish = {"action": "jog", "slot": "A1", "pin": "48151623"}
    headers = world.operator | JSON | {"Idempotency-Key": str(uuid4())}
    answer = await world.client.post(f"/v1/devices/{uuid4()}/instructions", json=wish, headers=headers)
    assert answer.status_code == 404
    assert len(await entries(world)) == before


async def test_a_command_is_told_as_the_systems_own(world: World) -> None:
    assert (await gateway_command(world, "revoke-gateway"))[0] == 0
    (row, *_) = await entries(world)
    assert (row["action"], row["actor"]["kind"], row["actor"]["name"]) == (
        "gateway_revoked",
        "system",
        "revoke-gateway",
    )
