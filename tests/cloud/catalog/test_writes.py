"""What operators change of products, machines, planograms and stock, and that gateways hear of it."""

from typing import Any
from uuid import uuid4

import pytest
from quart import Response

from cloud.clock import new_id
from shared.catalog import MachineVersion, PlanogramVersion, ProductVersion
from shared.inventory import StockInstruction
from shared.sync import ChangeBody, Changes
from tests.cloud.conftest import JSON, World
from tests.fakes.gateway_client import Slot

SOON = "2031-01-01T00:00:00Z"


async def pulled(world: World) -> tuple[ChangeBody, ...]:
    """All changes that the gateway can be told one by one."""
    answer = await world.client.get("/v1/sync/changes?cursor=0", headers=world.gateway.authorisation())
    return Changes.model_validate_json(await answer.get_data()).changes


async def post(world: World, path: str, body: dict[str, Any]) -> Response:
    headers = world.operator | JSON | {"Idempotency-Key": str(uuid4())}
    return await world.client.post(path, json=body, headers=headers)


async def patch(world: World, path: str, body: dict[str, Any]) -> Response:
    return await world.client.patch(path, json=body, headers=world.operator | JSON)


def planned(like: Slot, **other: Any) -> dict[str, Any]:
    content = {"slot": "A1", "product_id": str(like.product_id), "device_id": str(like.device_id), "price_minor": 4000}
    return content | {"capacity": 10, "par_level": 3} | other


async def wrong_paths(answer: Response) -> list[str]:
    problem = await answer.get_json()
    assert answer.status_code == 422, problem
    return [error["path"] for error in problem["errors"]]


@pytest.mark.criterion("1.5", "5.5")
async def test_a_gateway_hears_of_a_product_and_of_a_machine(world: World) -> None:
    slot = await world.slot()
    product, machine = f"/v1/catalog/products/{slot.product_id}", f"/v1/machines/{slot.machine_id}"
    assert (await (await patch(world, product, {"name": "Roasted Peanuts"})).get_json())["version"] == 2
    assert (await (await patch(world, machine, {"in_service": False})).get_json())["name"] == "Snacks"
    *_, told, cabinet = await pulled(world)
    assert told == ProductVersion(product_id=slot.product_id, version=2, name="Roasted Peanuts")
    assert isinstance(cabinet, MachineVersion)
    assert (cabinet.version, cabinet.in_service, cabinet.name) == (2, False, "Snacks")
    for path in (f"/v1/catalog/products/{new_id()}", f"/v1/machines/{new_id()}", f"/v1/sites/{new_id()}"):
        assert (await patch(world, path, {"name": "Nobody"})).status_code == 404
    assert await wrong_paths(await patch(world, product, {"name": "", "price": 3})) == ["name", "price"]
    assert await wrong_paths(await patch(world, product, {"name": "a\0b"})) == ["name"]
    assert await wrong_paths(await patch(world, f"/v1/sites/{world.seeded.site_id}", {"latitude": 91})) == ["latitude"]


@pytest.mark.criterion("1.5", "5.5")
async def test_a_planogram_is_published_once_with_its_time(world: World) -> None:
    slot, other = await world.slot(), await world.slot(1)
    path = f"/v1/machines/{slot.machine_id}/planograms"
    created = await post(world, "/v1/catalog/products", {"name": "Ginger Tea"})
    product_id = (await created.get_json())["product_id"]
    body = {"effective_at": SOON, "slots": [planned(slot), planned(slot, slot="A2", product_id=product_id)]}
    published = await post(world, path, body)
    assert published.status_code == 201
    *_, change = await pulled(world)
    assert isinstance(change, PlanogramVersion)
    assert PlanogramVersion.model_validate_json(await published.get_data()) == change
    assert [content.price_minor for content in change.slots] == [4000, 4000]
    rows = (await (await world.client.get(path, headers=world.operator)).get_json())["planograms"]
    assert [(row["version"], row["in_force"], len(row["slots"])) for row in rows] == [(2, False, 2), (1, True, 6)]
    wrong = [planned(slot), planned(slot, product_id=str(new_id())), planned(other, slot="B1", par_level=99)]
    assert await wrong_paths(await post(world, path, {"effective_at": SOON, "slots": wrong})) == [
        "slots.1.slot",
        "slots.1.product_id",
        "slots.2.device_id",
        "slots.2.par_level",
    ]
    assert (await post(world, f"/v1/machines/{new_id()}/planograms", body)).status_code == 404


@pytest.mark.criterion("1.5", "5.5")
async def test_stock_is_asked_to_move(world: World) -> None:
    slot = await world.slot()
    path = f"/v1/machines/{slot.machine_id}/stock"
    moves = [("A1", 5, "restock"), ("A2", 0, "count"), ("A3", -1, "waste"), ("A4", -2, "adjust")]
    body = {"moves": [{"slot": code, "delta": delta, "reason": reason} for code, delta, reason in moves]}
    answer = await post(world, path, body)
    asked = (await answer.get_json())["movement_ids"]
    told = [change for change in await pulled(world) if isinstance(change, StockInstruction)][-4:]
    assert [(change.slot, change.delta, change.reason) for change in told] == moves
    assert [str(change.movement_id) for change in told] == asked
    bad = [("A1", 0, "restock"), ("A1", 1, "waste"), ("Z1", 1, "adjust")]
    body = {"moves": [{"slot": code, "delta": delta, "reason": reason} for code, delta, reason in bad]}
    assert await wrong_paths(await post(world, path, body)) == ["moves.0.delta", "moves.1.delta", "moves.2.slot"]
    body = {"moves": [{"slot": "A1", "delta": 1, "reason": "vend"}]}
    assert "moves.0.reason" in await wrong_paths(await post(world, path, body))
    body = {"moves": [{"slot": "A1", "delta": 1, "reason": "restock"}]}
    assert (await post(world, f"/v1/machines/{new_id()}/stock", body)).status_code == 404


async def test_a_site_loses_its_coordinates_by_null_and_keeps_what_is_left_out(world: World) -> None:
    site = f"/v1/sites/{world.seeded.site_id}"
    placed = await (await patch(world, site, {"latitude": 18.5, "longitude": 73.8, "address": "1 Road"})).get_json()
    assert await wrong_paths(await patch(world, site, {"latitude": None})) == ["longitude"]
    taken = await (await patch(world, site, {"latitude": None, "longitude": None, "name": None})).get_json()
    assert taken == placed | {"latitude": None, "longitude": None}


@pytest.mark.criterion("4.1")
async def test_the_audit_log_tells_of_each_change(world: World) -> None:
    slot = await world.slot()
    machine, site = f"/v1/machines/{slot.machine_id}", f"/v1/sites/{world.seeded.site_id}"
    created = await (await post(world, "/v1/catalog/products", {"name": "Ginger Tea"})).get_json()
    await patch(world, f"/v1/catalog/products/{created['product_id']}", {"name": "Ginger Tea 200 ml"})
    await patch(world, machine, {"in_service": False})
    await patch(world, site, {"address": "12 Demo Street"})
    await post(world, f"{machine}/planograms", {"effective_at": SOON, "slots": [planned(slot)]})
    await post(world, f"{machine}/stock", {"moves": [{"slot": "A1", "delta": 2, "reason": "restock"}]})
    told = await (await world.client.get("/v1/audit?limit=6", headers=world.operator)).get_json()
    entries = told["entries"][::-1]
    assert [row["action"] for row in entries] == [
        "product_created",
        "product_changed",
        "machine_changed",
        "site_changed",
        "planogram_published",
        "stock_move_asked",
    ]
    assert {row["actor"]["name"] for row in entries} == {"demo"}
    assert (entries[1]["before"]["name"], entries[1]["after"]["name"]) == ("Ginger Tea", "Ginger Tea 200 ml")
    assert entries[3]["after"] == {"address": "12 Demo Street"}
