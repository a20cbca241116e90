"""Two tenants: nobody reads another's rows, through no route, id or cursor."""

import pytest

from shared.inventory import Reason
from tests.cloud.conftest import JSON, World
from tests.cloud.rival import Rival, rival_of
from tests.fakes.release_key import signed_release

LISTS = ("/v1/orders", "/v1/inventory", "/v1/catalog/products", "/v1/devices", "/v1/releases")


@pytest.fixture
async def rival(world: World) -> Rival:
    return await rival_of(world)


async def text(world: World, path: str, headers: dict[str, str]) -> str:
    answer = await world.client.get(path, headers=headers)
    assert answer.status_code == 200, path
    return str(await answer.get_data(as_text=True))


async def test_lists_show_ones_own_rows_only(world: World, rival: Rival) -> None:
    ours = await world.slot()
    world.gateway.sell(ours)
    await world.acknowledged()
    for path in LISTS:
        assert "Rival" not in await text(world, path, world.operator)
        assert str(rival.slot.machine_id) not in await text(world, path, world.operator)
        theirs = await text(world, path, rival.headers)
        assert str(ours.machine_id) not in theirs
        assert "Cashews" not in theirs


async def test_filters_and_cursors_of_another_show_nothing(world: World, rival: Rival) -> None:
    for path in ("/v1/orders", "/v1/inventory"):
        shown = await text(world, f"{path}?machine_id={rival.slot.machine_id}", world.operator)
        assert str(rival.order_id) not in shown
        assert "B1" not in shown
    cursor = (await (await world.client.get("/v1/devices?limit=1", headers=world.operator)).get_json())["next_cursor"]
    assert "Snacks" not in await text(world, f"/v1/devices?cursor={cursor}", rival.headers)


async def test_ids_of_another_are_not_found(world: World, rival: Rival) -> None:
    assert rival.gateway.claimed is not None
    for path in (f"/v1/orders/{rival.order_id}", f"/v1/gateways/{rival.gateway.claimed.gateway_id}/sync"):
        assert (await world.client.get(path, headers=rival.headers)).status_code == 200
        assert (await world.client.get(path, headers=world.operator)).status_code == 404


async def test_nobody_looks_after_anothers_device(world: World, rival: Rival) -> None:
    device = f"/v1/devices/{rival.slot.device_id}"
    restart, key = {"action": "restart"}, "01890000-0000-7000-8000-000000000001"
    for headers, status in ((rival.headers, 201), (world.operator, 404)):
        told = headers | JSON | {"Idempotency-Key": key}
        assert (await world.client.post(f"{device}/instructions", json=restart, headers=told)).status_code == status
        shown = await world.client.get(f"{device}/settings", headers=headers)
        assert shown.status_code == {201: 200, 404: 404}[status]
    assert '"instructions":[]' in await text(world, f"{device}/instructions", world.operator)
    put = await world.client.put(f"{device}/settings", json={"settings": {}}, headers=world.operator | JSON)
    assert put.status_code == 404


async def test_nobody_withdraws_anothers_release(world: World, rival: Rival) -> None:
    bundle = signed_release()
    for headers in (world.operator, rival.headers):
        answer = await world.client.post("/v1/releases", data=bundle.to_line(), headers=headers | JSON)
        digest = (await answer.get_json())["digest"]
    assert (await world.client.delete(f"/v1/releases/{digest}", headers=rival.headers)).status_code == 200
    kept = await world.client.get(f"/v1/sync/files/{digest}", headers=world.gateway.authorisation())
    assert (kept.status_code, await kept.get_data()) == (200, bundle.signed.to_line())
    gone = await world.client.get(f"/v1/sync/files/{digest}", headers=rival.gateway.authorisation())
    assert gone.status_code == 404


async def test_a_gateway_hears_of_its_own_tenant_only(world: World, rival: Rival) -> None:
    for query in ("", "?cursor=0"):
        heard = await text(world, f"/v1/sync/changes{query}", world.gateway.authorisation())
        assert "Rival" not in heard
        assert str(rival.slot.machine_id) not in heard


async def test_a_gateway_cannot_write_into_another_tenant(world: World, rival: Rival) -> None:
    world.gateway.sell(rival.slot)
    world.gateway.move(rival.slot, 100, Reason.RESTOCK)
    await world.acknowledged()
    stock = await (await world.client.get("/v1/inventory", headers=rival.headers)).get_json()
    assert [level["quantity"] for level in stock["stock"]] == [4]
    orders = await (await world.client.get("/v1/orders", headers=rival.headers)).get_json()
    assert len(orders["orders"]) == 1


async def test_an_id_taken_by_another_tenant_is_free_here(world: World, rival: Rival) -> None:
    """Otherwise a tenant could block, or find out, another's ids."""
    slot = await world.slot()
    line = rival.gateway.lines[0].replace(str(rival.slot.machine_id).encode(), str(slot.machine_id).encode())
    world.gateway.add_line(line.replace(b'"B1"', b'"A1"'))
    await world.acknowledged()
    assert await world.rows("SELECT reason FROM dead_letters") == []
    assert [row["delta"] for row in await world.rows("SELECT delta FROM stock_movements")] == [5]


async def test_telemetry_of_anothers_device_is_dropped(world: World, rival: Rival) -> None:
    sample = (
        f'{{"device_id":"{rival.slot.device_id}","machine_id":"{rival.slot.machine_id}","at":"2026-01-01T00:00:00Z",'
        '"firmware":null,"uptime_s":1,"free_bytes":null,"rssi_dbm":null,"journal_bytes":null}'
    )
    answer = await world.client.post(
        "/v1/sync/telemetry", data=f'{{"samples":[{sample}]}}', headers=world.gateway.authorisation() | JSON
    )
    assert answer.status_code == 204
    devices_shown = await (await world.client.get("/v1/devices", headers=rival.headers)).get_json()
    assert devices_shown["devices"][0]["health_at"] is None
