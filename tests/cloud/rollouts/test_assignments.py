"""Which device shall run what, and what each says it runs."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from quart import Response

from cloud.clock import new_id
from shared.releases import AssignedRelease, FirmwareAssigned, FirmwareChanged, FirmwareGivenUp, FirmwareRunning
from shared.releases import FirmwareState as State
from shared.sync import Changes
from tests.cloud.conftest import JSON, World
from tests.cloud.rollouts.test_releases import published
from tests.fakes.release_key import signed_release


async def put(world: World, path: str, digest: str | None) -> Response:
    return await world.client.put(f"/v1/{path}/release", json={"digest": digest}, headers=world.operator | JSON)


async def changes(world: World, cursor: int | None = None) -> Changes:
    query = "" if cursor is None else f"?cursor={cursor}"
    answer = await world.client.get(f"/v1/sync/changes{query}", headers=world.gateway.authorisation())
    return Changes.model_validate_json(await answer.get_data())


async def assigned(world: World, cursor: int | None = None) -> list[FirmwareAssigned]:
    return [body for body in (await changes(world, cursor)).changes if isinstance(body, FirmwareAssigned)]


async def device_row(world: World, device_id: UUID) -> dict[str, Any]:
    page = await (await world.client.get("/v1/devices", headers=world.operator)).get_json()
    return next(row for row in page["devices"] if row["device_id"] == str(device_id))


def changed(machine_id: UUID, device_id: UUID, digest: str | None, state: State, slot: Any = "a") -> FirmwareChanged:
    running = FirmwareRunning(slot=slot, digest=digest, version="1.0.0")
    return FirmwareChanged(
        device_id=device_id, machine_id=machine_id, running=running, state=state, offered=digest, reason=None
    )


@pytest.mark.criterion("8.5")
async def test_an_assignment_reaches_the_gateway_at_once_and_again_in_full(world: World) -> None:
    bundle = signed_release()
    digest = await published(world, bundle)
    slot, cursor = await world.slot(), (await changes(world)).cursor
    answer = await put(world, f"devices/{slot.device_id}", digest)
    assert (await answer.get_json())["device_ids"] == [str(slot.device_id)]
    (change,) = await assigned(world, cursor)
    assert (change.device_id, change.machine_id) == (slot.device_id, slot.machine_id)
    assert change.release == AssignedRelease(digest=digest, size=len(bundle.signed.to_line()))
    assert await assigned(world) == [change]


@pytest.mark.criterion("8.5")
async def test_the_same_release_again_is_another_assignment(world: World) -> None:
    digest, slot = await published(world, signed_release()), await world.slot()
    for _ in range(2):
        await put(world, f"devices/{slot.device_id}", digest)
    first, second = await assigned(world, 0)
    assert first.release == second.release
    assert first.assignment_id != second.assignment_id
    assert await assigned(world) == [second]


async def test_a_device_can_be_left_with_what_it_runs(world: World) -> None:
    digest, slot = await published(world, signed_release()), await world.slot()
    await put(world, f"devices/{slot.device_id}", digest)
    await put(world, f"devices/{slot.device_id}", None)
    (change,) = await assigned(world)
    assert change.release is None
    assert (await device_row(world, slot.device_id))["assigned_digest"] is None


async def test_all_devices_of_a_site_are_assigned_at_once(world: World) -> None:
    digest = await published(world, signed_release())
    answer = await put(world, f"sites/{world.seeded.site_id}", digest)
    ids = {machine.device_id for machine in world.seeded.machines}
    assert set((await answer.get_json())["device_ids"]) == ids
    assert {str(change.device_id) for change in await assigned(world)} == ids


async def test_what_cannot_be_assigned(world: World) -> None:
    slot = await world.slot()
    digest = await published(world, signed_release())
    old = await published(world, signed_release("1.0.1", expires=int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())))
    for path, wish, status in (
        (f"devices/{new_id()}", digest, 404),
        (f"sites/{new_id()}", digest, 404),
        (f"devices/{slot.device_id}", "00" * 32, 422),
        (f"devices/{slot.device_id}", old, 422),
        (f"devices/{slot.device_id}", "no digest", 422),
    ):
        assert (await put(world, path, wish)).status_code == status, (path, wish)
    anonymous = await world.client.put(f"/v1/devices/{slot.device_id}/release", json={"digest": None}, headers=JSON)
    assert anonymous.status_code == 401
    assert await assigned(world) == []


@pytest.mark.criterion("8.5")
async def test_what_a_device_says_is_believed_and_not_what_it_was_assigned(world: World) -> None:
    digest, slot = await published(world, signed_release("2.0.0")), await world.slot()
    await put(world, f"devices/{slot.device_id}", digest)
    row = await device_row(world, slot.device_id)
    assert (row["assigned_digest"], row["assigned_version"]) == (digest, "2.0.0")
    assert (row["running_digest"], row["running_version"], row["firmware_state"]) == (None, None, None)
    about = (slot.machine_id, slot.device_id)
    world.gateway.add(changed(*about, None, State.FETCHING), changed(*about, digest, State.TRIAL, "b"))
    await world.acknowledged()
    row = await device_row(world, slot.device_id)
    told = (row["running_slot"], row["running_digest"], row["running_version"], row["firmware_state"])
    assert told == ("b", digest, "1.0.0", "trial")
    assert row["firmware_offered"] == digest
    world.gateway.add(changed(*about, None, State.FAILED))
    await world.acknowledged(3)
    row = await device_row(world, slot.device_id)
    assert (row["running_slot"], row["running_digest"], row["firmware_state"]) == ("a", None, "failed")
    assert row["firmware_offered"] is None
    assert row["assigned_digest"] == digest


async def test_what_a_gateway_gave_up_is_shown_until_it_is_assigned_anew(world: World) -> None:
    digest, slot = await published(world, signed_release()), await world.slot()
    await put(world, f"devices/{slot.device_id}", digest)
    (change,) = await assigned(world)
    about: dict[str, Any] = {"device_id": slot.device_id, "machine_id": slot.machine_id}
    world.gateway.add(FirmwareGivenUp(assignment_id=change.assignment_id, reason="failed 3 times", **about))
    await world.acknowledged()
    assert (await device_row(world, slot.device_id))["given_up_reason"] == "failed 3 times"
    await put(world, f"devices/{slot.device_id}", digest)
    assert (await device_row(world, slot.device_id))["given_up_reason"] is None
    world.gateway.add(FirmwareGivenUp(assignment_id=change.assignment_id, reason="late", **about))
    await world.acknowledged(2)
    assert (await device_row(world, slot.device_id))["given_up_reason"] is None


async def test_a_word_on_a_device_that_is_not_known_is_a_dead_letter(world: World) -> None:
    slot = await world.slot()
    world.gateway.add(changed(slot.machine_id, new_id(), None, State.VALID))
    world.gateway.add(changed(slot.machine_id, slot.device_id, None, State.VALID))
    await world.acknowledged()
    assert len(await world.rows("SELECT 1 FROM dead_letters")) == 1
    assert (await device_row(world, slot.device_id))["firmware_state"] == "valid"
