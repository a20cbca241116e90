"""Zones as operators see them: what facts say of them, and the newest health of their device."""

import json
from typing import Any
from uuid import UUID

import pytest

from cloud.clock import new_id
from shared.climate import ZoneLocked, ZoneReleased
from tests.cloud.conftest import World
from tests.fakes.gateway_client import Slot


def locked(slot: Slot, zone: str = "top", celsius: int | None = 900) -> ZoneLocked:
    return ZoneLocked(
        device_id=slot.device_id, machine_id=slot.machine_id, zone=zone, slots=("A1", "A2"), centi_celsius=celsius
    )


def released(slot: Slot, by: str | None, at_machine: bool = False, release_id: UUID | None = None) -> ZoneReleased:
    about: dict[str, Any] = {"device_id": slot.device_id, "machine_id": slot.machine_id, "zone": "top"}
    return ZoneReleased(**about, released_by=by, at_machine=at_machine, release_id=release_id)


async def device(world: World, slot: Slot) -> dict[str, Any]:
    """The slot's device as the API lists it."""
    answer = await world.client.get("/v1/devices", headers=world.operator)
    rows: list[dict[str, Any]] = (await answer.get_json())["devices"]
    return next(row for row in rows if row["device_id"] == str(slot.device_id))


async def zones(world: World, slot: Slot) -> list[tuple[Any, ...]]:
    rows = (await device(world, slot))["zones"]
    return [(row["zone"], row["locked"], row["slots"], row["centi_celsius"], row["released_by"]) for row in rows]


@pytest.mark.criterion("8.6")
async def test_a_lock_is_shown_until_it_is_released_and_by_whom(world: World) -> None:
    slot = await world.slot()
    assert await zones(world, slot) == []
    world.gateway.add(locked(slot))
    world.gateway.add(locked(slot, "bottom", None))
    await world.acknowledged()
    assert await zones(world, slot) == [
        ("bottom", True, ["A1", "A2"], None, None),
        ("top", True, ["A1", "A2"], 900, None),
    ]
    world.gateway.add(released(slot, "Asha"))
    await world.acknowledged(3)
    assert (await zones(world, slot))[1] == ("top", False, ["A1", "A2"], 900, "Asha")


@pytest.mark.criterion("8.6")
async def test_a_release_by_hand_is_shown_until_the_zone_locks_again(world: World) -> None:
    slot = await world.slot()
    for fact, by_hand in ((locked(slot), False), (released(slot, None, at_machine=True), True), (locked(slot), False)):
        world.gateway.add(fact)
        await world.acknowledged()
        (row,) = (await device(world, slot))["zones"]
        assert (row["released_at_machine"], row["released_by"]) == (by_hand, None)


async def test_a_release_of_a_lock_that_no_gateway_was_there_to_hear_of_is_shown(world: World) -> None:
    slot = await world.slot()
    world.gateway.add(released(slot, None, at_machine=True))
    await world.acknowledged()
    assert await zones(world, slot) == [("top", False, [], None, None)]


async def test_a_lock_and_its_release_in_one_batch_are_one_story(world: World) -> None:
    slot = await world.slot()
    for fact in (locked(slot), released(slot, None), locked(slot, celsius=800), released(slot, "Asha")):
        world.gateway.add(fact)
    await world.acknowledged()
    assert await zones(world, slot) == [("top", False, ["A1", "A2"], 800, "Asha")]


@pytest.mark.criterion("8.6")
@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_a_release_that_is_told_once_more_releases_nothing(world: World, in_one_batch: bool) -> None:
    """By a gateway that has lost its ledger: the device tells its last release for ever."""
    slot, first, second = await world.slot(), new_id(), new_id()
    told = (locked(slot), released(slot, "Asha", release_id=first), locked(slot), released(slot, "Asha", False, first))
    for fact in told:
        world.gateway.add(fact)
        if not in_one_batch:
            await world.acknowledged()
    if in_one_batch:
        await world.acknowledged()
    assert await zones(world, slot) == [("top", True, ["A1", "A2"], 900, None)]
    world.gateway.add(released(slot, "Ben", release_id=second))
    await world.acknowledged()
    assert await zones(world, slot) == [("top", False, ["A1", "A2"], 900, "Ben")]


async def test_a_zone_of_a_device_nobody_knows_is_a_dead_letter(world: World) -> None:
    slot = await world.slot()
    world.gateway.add(locked(slot).model_copy(update={"device_id": new_id()}))
    await world.acknowledged()
    assert await world.rows("SELECT count(*) AS dead FROM dead_letters") == [{"dead": 1}]
    assert await zones(world, slot) == []


@pytest.mark.criterion("8.6")
async def test_the_newest_health_is_shown_with_its_device(world: World) -> None:
    slot = await world.slot()
    assert (await device(world, slot))["centi_celsius"] == {}
    told: dict[str, Any] = {
        "reset_cause": "brownout",
        "journal_limit_bytes": 16384,
        "centi_celsius": {"top": 412, "bottom": None},
        "door_open": True,
        "peak_ma": {"A1": 740},
        "clock": "synced",
    }
    about = {"device_id": str(slot.device_id), "machine_id": str(slot.machine_id), "firmware": "1.0.0"}
    sample = {**about, **told, "at": "2026-01-01T00:00:00Z", "uptime_s": 5}
    answer = await world.client.post(
        "/v1/sync/telemetry",
        data=json.dumps({"v": 1, "samples": [sample]}),
        headers=world.gateway.authorisation() | {"Content-Type": "application/json"},
    )
    assert answer.status_code == 204, await answer.get_data()
    shown = await device(world, slot)
    assert {name: shown[name] for name in told} == told
