"""What a person asks of a device: told to its gateway once, and shown with what became of it."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from quart import Response
from structlog.testing import capture_logs

from cloud.clock import new_id
from shared.devices import Evidence
from shared.sync import Changes
from shared.upkeep import Action, DeviceInstruction, DeviceInstructionEnded, RequestState
from tests.cloud.conftest import JSON, World
from tests.fakes.gateway_client import Slot

PIN = "48151623"
JOG = {"action": "jog", "slot": "A1", "pin": PIN}
SEEN = Evidence(drop=True, left_home=True, home_before=True, home_after=True, motor_ms=900)


async def ask(world: World, slot: Slot, wish: dict[str, Any], key: UUID | None = None) -> Response:
    headers = world.operator | JSON | {"Idempotency-Key": str(key or uuid4())}
    return await world.client.post(f"/v1/devices/{slot.device_id}/instructions", json=wish, headers=headers)


async def asked(world: World, slot: Slot, wish: dict[str, Any]) -> UUID:
    answer = await ask(world, slot, wish)
    assert answer.status_code == 201, await answer.get_data()
    return UUID((await answer.get_json())["request_id"])


async def shown(world: World, slot: Slot, query: str = "") -> dict[str, Any]:
    answer = await world.client.get(f"/v1/devices/{slot.device_id}/instructions{query}", headers=world.operator)
    found: dict[str, Any] = await answer.get_json()
    return found


async def told(world: World, cursor: int | None = None) -> list[DeviceInstruction]:
    """What the gateway hears."""
    query = "" if cursor is None else f"?cursor={cursor}"
    answer = await world.client.get(f"/v1/sync/changes{query}", headers=world.gateway.authorisation())
    changes = Changes.model_validate_json(await answer.get_data()).changes
    return [body for body in changes if isinstance(body, DeviceInstruction)]


def ended(
    slot: Slot, request_id: UUID, state: RequestState = RequestState.DONE, **others: Any
) -> DeviceInstructionEnded:
    about: dict[str, Any] = {"device_id": slot.device_id, "machine_id": slot.machine_id, "action": Action.JOG}
    return DeviceInstructionEnded(request_id=request_id, state=state, **about | others)


async def test_it_reaches_the_gateway_with_its_pin_and_who_asked(world: World) -> None:
    slot = await world.slot()
    request_id = await asked(world, slot, JOG)
    for cursor in (0, None):
        (wish,) = await told(world, cursor)
        assert (wish.request_id, wish.device_id, wish.machine_id) == (request_id, slot.device_id, slot.machine_id)
        assert (wish.action, wish.slot, wish.pin, wish.asked_by) == (Action.JOG, "A1", PIN, "demo")


async def test_what_became_of_it_is_shown_and_the_first_word_counts(world: World) -> None:
    slot = await world.slot()
    request_id = await asked(world, slot, JOG)
    (row,) = (await shown(world, slot))["instructions"]
    assert (row["state"], row["asked_by"], row["ended_at"]) == (None, "demo", None)
    world.gateway.add(ended(slot, request_id, evidence=SEEN), ended(slot, request_id, RequestState.REFUSED))
    await world.acknowledged()
    (row,) = (await shown(world, slot))["instructions"]
    assert (row["state"], row["evidence"]["motor_ms"]) == ("done", 900)
    assert row["ended_at"] is not None
    assert await told(world, None) == []
    assert await world.rows("SELECT reason FROM dead_letters") == []


async def everything(world: World) -> str:
    """All that the database holds of instructions and changes."""
    rows = await world.rows("SELECT * FROM device_instructions"), await world.rows("SELECT * FROM changes")
    return json.dumps([[dict(row) for row in found] for found in rows], default=str)


async def test_a_pin_lies_nowhere_in_plain_and_is_neither_shown_nor_logged(world: World) -> None:
    slot = await world.slot()
    with capture_logs() as logged:
        answer = await ask(world, slot, JOG)
        (kept,) = await world.rows("SELECT pin FROM device_instructions")
        assert kept["pin"].startswith("test.gAAAA")
        assert PIN not in await answer.get_data(as_text=True)
        request_id = UUID((await answer.get_json())["request_id"])
        assert PIN not in json.dumps(await shown(world, slot))
        assert PIN not in await everything(world)
        world.gateway.add(ended(slot, request_id, RequestState.REFUSED, reason="the door is shut"))
        await world.acknowledged()
        assert PIN not in await everything(world)
        (wish,) = await told(world, 0)
        assert (wish.request_id, wish.pin) == (request_id, None)
    assert PIN not in json.dumps(logged, default=str)


async def test_an_expired_pin_goes_down_no_more_and_is_forgotten(world: World) -> None:
    slot = await world.slot()
    await asked(world, slot, JOG)
    await world.rows("UPDATE device_instructions SET expires_at = now() RETURNING id")
    for cursor in (0, None):
        assert [wish.pin for wish in await told(world, cursor)] == [None]
    await asked(world, slot, {"action": "restart"})
    assert PIN not in await everything(world)


async def test_the_same_key_asks_once(world: World) -> None:
    slot, key = await world.slot(), uuid4()
    first = await ask(world, slot, JOG, key)
    again = await ask(world, slot, JOG | {"pin": "0000"}, key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert await first.get_json() == await again.get_json()
    assert [wish.pin for wish in await told(world, 0)] == [PIN]
    for other in ({"action": "restart"}, JOG | {"slot": "A2"}):
        answer = await ask(world, slot, other, key)
        assert (answer.status_code, (await answer.get_json())["code"]) == (422, "idempotency_key_reused")
    other_device = await world.slot(1)
    assert (await ask(world, other_device, JOG, key)).status_code == 422


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"action": "jog", "slot": "A1"}, "pin"),
        ({"action": "jog", "pin": PIN}, "slot"),
        ({"action": "release_zone"}, "zone"),
        ({"action": "restart", "pin": PIN}, "pin"),
        (JOG | {"zone": "cabinet"}, "zone"),
        (JOG | {"pin": "12a4"}, "pin"),
        (JOG | {"expires_in_s": 5}, "expires_in_s"),
        (JOG | {"expires_in_s": 86_401}, "expires_in_s"),
        ({"action": "explode"}, "action"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_field(world: World, wish: dict[str, Any], path: str) -> None:
    answer = await ask(world, await world.slot(), wish)
    assert answer.status_code == 422
    problem = await answer.get_json()
    assert [wrong["path"] for wrong in problem["errors"]] == [path]
    assert PIN not in json.dumps(problem)
    assert await told(world, 0) == []


async def test_who_may_ask(world: World) -> None:
    slot = await world.slot()
    path = f"/v1/devices/{slot.device_id}/instructions"
    assert (await world.client.post(path, json=JOG, headers=JSON)).status_code == 401
    assert (await world.client.get(path)).status_code == 401
    without_key = await world.client.post(path, json=JOG, headers=world.operator | JSON)
    assert (without_key.status_code, (await without_key.get_json())["code"]) == (400, "idempotency_key_missing")
    stranger = Slot(slot.machine_id, new_id(), slot.product_id, "A1", 1)
    assert (await ask(world, stranger, JOG)).status_code == 404


async def test_they_are_shown_page_by_page_the_newest_first(world: World) -> None:
    slot = await world.slot()
    ids = [str(await asked(world, slot, {"action": "restart"})) for _ in range(5)]
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = await shown(world, slot, query)
        seen += [row["request_id"] for row in page["instructions"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert seen == ids[::-1]


async def test_a_word_on_what_was_asked_at_the_gateway_itself_harms_nothing(world: World) -> None:
    slot = await world.slot()
    world.gateway.add(ended(slot, new_id()))
    await world.acknowledged()
    assert await world.rows("SELECT reason FROM dead_letters") == []
