"""A release that nobody shall run any more: assigned to nobody, offered to nobody, its files gone, its record kept."""

import hashlib
from typing import Any

import pytest
from quart import Response

from tests.cloud.conftest import JSON, World
from tests.cloud.rollouts.test_assignments import assigned, device_row, put
from tests.cloud.rollouts.test_releases import fetch, publish, published
from tests.fakes.release_key import FILES, signed_release

OWN = {"app.mpy": b"of the newer one only", "boot.mpy": FILES["boot.mpy"]}
NEWER = signed_release("2.0.0", files=OWN)


async def withdraw(world: World, digest: str) -> Response:
    return await world.client.delete(f"/v1/releases/{digest}", headers=world.operator)


async def listed(world: World, digest: str) -> dict[str, Any]:
    page: dict[str, Any] = await (await world.client.get("/v1/releases", headers=world.operator)).get_json()
    found: dict[str, Any] = next(row for row in page["releases"] if row["digest"] == digest)
    return found


@pytest.mark.criterion("8.5")
async def test_a_withdrawn_release_is_assigned_to_nobody_and_its_record_stays(world: World) -> None:
    older, newer = await published(world, signed_release()), await published(world, NEWER)
    slot, other = await world.slot(0), await world.slot(1)
    await put(world, f"devices/{slot.device_id}", newer)
    await put(world, f"devices/{other.device_id}", older)
    assert (await listed(world, newer))["withdrawn_at"] is None
    answer = await withdraw(world, newer)
    assert (answer.status_code, await answer.get_json()) == (200, {"device_ids": [str(slot.device_id)]})
    found = {change.device_id: change.release for change in await assigned(world)}
    assert found[slot.device_id] is None
    assert (release := found[other.device_id]) is not None
    assert release.digest == older
    assert (await assigned(world, 0))[-1].release is None, "the gateway hears of it at once"
    assert (await device_row(world, slot.device_id))["assigned_digest"] is None
    assert (await listed(world, newer))["withdrawn_at"] is not None
    assert (await listed(world, older))["withdrawn_at"] is None


@pytest.mark.criterion("8.5")
async def test_its_files_go_but_for_those_that_another_release_lists(world: World) -> None:
    older, newer = await published(world, signed_release()), await published(world, NEWER)
    await withdraw(world, newer)
    gone = [newer, hashlib.sha256(OWN["app.mpy"]).hexdigest()]
    kept = [older, *(hashlib.sha256(content).hexdigest() for content in FILES.values())]
    assert [(await fetch(world, sha256)).status_code for sha256 in gone] == [404, 404]
    assert [(await fetch(world, sha256)).status_code for sha256 in kept] == [200] * len(kept)
    await withdraw(world, older)
    assert await world.rows("SELECT 1 FROM release_files") == []


async def test_a_withdrawn_release_does_not_come_back(world: World) -> None:
    digest, slot = await published(world, NEWER), await world.slot()
    await withdraw(world, digest)
    again = await withdraw(world, digest)
    assert (again.status_code, await again.get_json()) == (200, {"device_ids": []})
    for answer in (await put(world, f"devices/{slot.device_id}", digest), await publish(world, NEWER)):
        assert answer.status_code == 422
        assert "withdrawn" in (await answer.get_json())["errors"][0]["message"]
    assert await world.rows("SELECT 1 FROM release_files") == []


async def test_who_may_withdraw_what(world: World) -> None:
    digest = await published(world, NEWER)
    assert (await withdraw(world, "00" * 32)).status_code == 404
    assert (await withdraw(world, "no digest")).status_code == 404
    assert (await world.client.delete(f"/v1/releases/{digest}", headers=JSON)).status_code == 401
    assert (await fetch(world, digest)).status_code == 200
