"""What comes late, by a replay or by telemetry, never takes the place of what was said after it."""

import json
from typing import Any

import pytest

from cloud.callers import system
from cloud.clock import new_id
from cloud.sync.ingest import Ingest
from shared.devices import DeviceLinkChanged
from shared.inventory import Reason, SlotSensed, SlotSuspected
from tests.cloud.conftest import World
from tests.cloud.dashboard.test_orders_page import log_in
from tests.cloud.processes import gateway_command


async def dead_at_first(world: World, machine_id: object, moved_to: object) -> None:
    """Move a machine to another site, and back."""
    await world.rows("UPDATE machines SET site_id = $2 WHERE id = $1", machine_id, moved_to)


async def elsewhere(world: World) -> object:
    site_id = new_id()
    await world.rows(
        "INSERT INTO sites (tenant_id, id, name, currency) VALUES ($1, $2, 'Elsewhere', 'INR')",
        *(world.tenant_id, site_id),
    )
    return site_id


async def replay(world: World) -> int:
    assert world.gateway.claimed is not None
    return await Ingest(world.database).replay(system("test"), world.tenant_id, world.gateway.claimed.gateway_id)


async def test_a_replayed_word_does_not_replace_a_later_one(world: World) -> None:
    gateway, slot, other = world.gateway, await world.slot(), await world.slot(0, "A2")
    assert gateway.claimed is not None
    at: dict[str, Any] = {"machine_id": slot.machine_id, "slot": slot.slot}
    link: dict[str, Any] = {"machine_id": slot.machine_id, "device_id": slot.device_id}
    gateway.add(
        SlotSuspected(**at, vend_id=new_id()),
        SlotSensed(**at, empty=True),
        DeviceLinkChanged(**link, online=False, reason="gone"),
    )
    gateway.add(SlotSuspected(machine_id=other.machine_id, slot=other.slot, vend_id=new_id()))
    gateway.move(other, 4, Reason.COUNT)
    await dead_at_first(world, slot.machine_id, await elsewhere(world))
    await world.acknowledged()
    await dead_at_first(world, slot.machine_id, gateway.claimed.site_id)
    assert len(await world.rows("SELECT 1 FROM dead_letters")) == 5
    gateway.move(slot, 7, Reason.COUNT)
    gateway.add(SlotSensed(**at, empty=False), DeviceLinkChanged(**link, online=True, reason="hello"))
    gateway.add(SlotSuspected(machine_id=other.machine_id, slot=other.slot, vend_id=new_id()))
    await world.acknowledged(6)
    assert await replay(world) == 5
    stock = await world.rows("SELECT slot, quantity, suspect, sensed_empty FROM stock ORDER BY slot")
    assert [tuple(row.values()) for row in stock] == [("A1", 7, False, False), ("A2", 4, True, None)]
    devices = await world.rows("SELECT online, link_reason FROM devices WHERE id = $1", slot.device_id)
    assert devices == [{"online": True, "link_reason": "hello"}]


async def test_dead_letters_and_contradictions_are_shown_beside_the_mark(world: World) -> None:
    gateway, slot = world.gateway, await world.slot()
    assert gateway.claimed is not None
    path = f"/v1/gateways/{gateway.claimed.gateway_id}/sync"
    gateway.add(SlotSuspected(machine_id=new_id(), slot="A1", vend_id=new_id()))
    await world.acknowledged()
    told = await (await world.client.get(path, headers=world.operator)).get_json()
    assert (told["seq"], told["dead_letters"], told["conflicts"]) == (1, 1, 0)
    gateway.begin_epoch(1)
    gateway.move(slot, 1, Reason.OPENING)
    assert (await world.push()).status_code == 409
    await log_in(world)
    page = await (await world.client.get("/orders")).get_data(as_text=True)
    assert "1 without effect" in page
    assert "1 contradicted" in page


async def test_dead_letters_rise_by_a_command(world: World) -> None:
    gateway, slot = world.gateway, await world.slot()
    assert gateway.claimed is not None
    gateway.move(slot, 3, Reason.OPENING)
    await dead_at_first(world, slot.machine_id, await elsewhere(world))
    await world.acknowledged()
    await dead_at_first(world, slot.machine_id, gateway.claimed.site_id)
    status, line = await gateway_command(world, "replay")
    assert (status, json.loads(line)["took_effect"]) == (0, 1)
    told = await world.rows("SELECT (SELECT quantity FROM stock), (SELECT count(replayed_at) FROM dead_letters)")
    assert told == [{"quantity": 3, "count": 1}]


async def test_late_telemetry_does_not_replace_newer(world: World) -> None:
    slot = await world.slot()
    sample: dict[str, object] = {"device_id": str(slot.device_id), "machine_id": str(slot.machine_id)}
    sample |= {"firmware": "1.0.0", "free_bytes": 1000, "rssi_dbm": -60, "journal_bytes": None}

    async def tell(at: str, uptime_s: int) -> int:
        answer = await world.client.post(
            "/v1/sync/telemetry",
            data=json.dumps({"v": 1, "samples": [sample | {"at": at, "uptime_s": uptime_s}]}),
            headers=world.gateway.authorisation() | {"Content-Type": "application/json"},
        )
        assert answer.status_code == 204, await answer.get_data()
        (row,) = await world.rows("SELECT uptime_s FROM device_health")
        return int(row["uptime_s"])

    assert await tell("2026-01-01T00:02:00Z", 2) == 2
    assert await tell("2026-01-01T00:01:00Z", 1) == 2
    assert await tell("2026-01-01T00:03:00Z", 3) == 3
    assert await tell("2199-01-01T00:00:00Z", 4) == 4
    assert await tell("2026-01-01T00:04:00Z", 5) == 5, "the clock was wrong and has been set"


@pytest.mark.parametrize(("name", "value"), [("uptime_s", 2**70), ("free_bytes", -1), ("rssi_dbm", 2**40)])
async def test_a_figure_out_of_all_bounds_is_refused(world: World, name: str, value: int) -> None:
    slot = await world.slot()
    sample: dict[str, object] = {"device_id": str(slot.device_id), "machine_id": str(slot.machine_id), "uptime_s": 1}
    sample |= {"at": "2026-01-01T00:00:00Z", "firmware": None, "free_bytes": 1, "rssi_dbm": -60, "journal_bytes": None}
    answer = await world.client.post(
        "/v1/sync/telemetry",
        data=json.dumps({"v": 1, "samples": [sample | {name: value}]}),
        headers=world.gateway.authorisation() | {"Content-Type": "application/json"},
    )
    assert (answer.status_code, (await answer.get_json())["code"]) == (422, "validation_failed")
