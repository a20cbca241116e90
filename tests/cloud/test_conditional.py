"""ETags: nothing is sent twice to whom has it, nothing overwritten that was not seen."""

from typing import Any

import pytest
from quart import Response

from tests.cloud.conftest import JSON, World


async def get(world: World, path: str, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await world.client.get(path, headers=world.operator | named)


async def write(world: World, method: str, path: str, body: dict[str, Any], tag: str | None = None) -> Response:
    seen = {} if tag is None else {"If-Match": tag}
    return await world.client.open(path, method=method, json=body, headers=world.operator | JSON | seen)


def things(world: World, product_id: object) -> dict[str, dict[str, Any]]:
    """What can be read, with a change to it."""
    return {
        f"/v1/catalog/products/{product_id}": {"name": "Roasted Peanuts"},
        f"/v1/machines/{world.seeded.machines[0].machine_id}": {"in_service": False},
        f"/v1/sites/{world.seeded.site_id}": {"latitude": 18.5, "longitude": 73.8, "address": "1 New Road"},
    }


@pytest.mark.criterion("5.1")
async def test_what_one_has_is_not_sent_again(world: World) -> None:
    slot = await world.slot()
    for path in (*things(world, slot.product_id), "/v1/sites", "/v1/machines", "/v1/catalog/products?limit=3"):
        first = await get(world, path)
        tag = first.headers["ETag"]
        assert not tag.startswith("W/")
        assert first.headers["Cache-Control"] == "private, no-cache"
        for known in (tag, f'"other", {tag}', "*"):
            again = await get(world, path, If_None_Match=known)
            assert (again.status_code, await again.get_data()) == (304, b""), path
            assert again.headers["ETag"] == tag
        assert (await get(world, path, If_None_Match='"other"')).status_code == 200
    assert "ETag" not in (await get(world, "/v1/sites/nowhere")).headers


@pytest.mark.criterion("5.1")
async def test_nothing_unseen_is_overwritten(world: World) -> None:
    slot = await world.slot()
    for path, change in things(world, slot.product_id).items():
        tag = (await get(world, path)).headers["ETag"]
        refused = await write(world, "PATCH", path, change, '"another"')
        assert (refused.status_code, (await refused.get_json())["code"]) == (412, "precondition_failed"), path
        assert (await get(world, path)).headers["ETag"] == tag
        assert (await write(world, "PATCH", path, change, f"W/{tag}")).status_code == 412, "a weak tag proves nothing"
        taken = await write(world, "PATCH", path, change, tag)
        assert taken.status_code == 200
        assert change.items() <= (await taken.get_json()).items()
        assert await (await get(world, path)).get_json() == await taken.get_json()
        assert (await write(world, "PATCH", path, change, tag)).status_code == 412, "it has changed since"
        assert (await write(world, "PATCH", path, change, "*")).status_code == 200
        assert (await write(world, "PATCH", path, change)).status_code == 200
