"""Templates of machines: of a machine that works, edited, used, thrown away."""

from typing import Any
from uuid import UUID

import pytest

from cloud.clock import Clock, new_id
from cloud.devices.service import DeviceToBe, expect_devices
from tests.cloud.conftest import World
from tests.cloud.setups.test_setups import WIRING, ask, begun, outline, ready

PEM = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"


async def created(world: World, **wish: Any) -> dict[str, Any]:
    made: dict[str, Any] = await ask(world, "POST", "/v1/machine-templates", 201, json={"name": "Two slots"} | wish)
    return made


@pytest.mark.criterion("9.6")
async def test_machines_of_a_setup_are_made_by_a_template(world: World) -> None:
    template = await created(world, outline=outline())
    path = await begun(world)
    edited = await ask(
        world, "POST", f"{path}/machines", 201, json={"name": "One", "template_id": template["template_id"]}
    )
    assert edited["machines"][0]["outline"] == template["outline"]
    await ask(world, "DELETE", f"/v1/machine-templates/{template['template_id']}", 204)
    assert (await ask(world, "GET", path, 200))["machines"] == edited["machines"]


@pytest.mark.criterion("9.6")
async def test_a_template_of_a_machine_that_works_has_its_wiring_and_none_of_its_secrets(world: World) -> None:
    like = world.seeded.machines[0]
    settings = {
        "machine_id": like.machine_id,
        "device_id": like.device_id,
        "currency": "INR",
        "ca_pem": PEM,
        "claim_code": "a-claim-code-of-this-test",
        "wifi": {"ssid": "shop", "password": "nobody knows this"},
        "slots": WIRING["slots"],
    }
    await ask(world, "PUT", f"/v1/devices/{like.device_id}/settings", 201, json={"settings": settings})
    template = await created(world, machine_id=like.machine_id)
    (device,) = template["outline"]["devices"]
    assert device["wiring"] == {"slots": WIRING["slots"], "board": {}, "climate": {}}
    assert "nobody knows" not in str(template)
    assert "claim_code" not in str(template)


async def test_a_machine_that_has_no_settings_yet_is_outlined_as_its_setup_wired_it(world: World) -> None:
    done = await ask(world, "POST", f"{await ready(world)}/finish", 200)
    made = done["machines"][0]
    found = await ask(world, "GET", f"/v1/machines/{made['machine_id']}/outline", 200)
    assert found["devices"] == made["outline"]["devices"]
    path = await begun(world)
    like = {"name": "Like it", "machine_id": made["machine_id"]}
    (again,) = (await ask(world, "POST", f"{path}/machines", 201, json=like))["machines"]
    assert again["outline"] == found


async def test_devices_that_are_called_alike_are_told_apart_and_too_many_refused(world: World) -> None:
    machine_id = (await ask(world, "POST", f"{await ready(world)}/finish", 200))["machines"][0]["machine_id"]
    (site,) = await world.rows("SELECT site_id FROM machines WHERE id = $1", UUID(machine_id))

    async def add(*names: str) -> None:
        devices = [DeviceToBe(new_id(), name, None) for name in names]
        now = Clock().now()
        await world.do(lambda t: expect_devices(t, world.tenant_id, site["site_id"], UUID(machine_id), devices, now))

    await add("board (2)", "board", 120 * "x", 120 * "x")
    found = await ask(world, "GET", f"/v1/machines/{machine_id}/outline", 200)
    names = [device["name"] for device in found["devices"]]
    assert names == ["board", "board (2)", "board (3)", 120 * "x", 116 * "x" + " (2)"]
    await add("6", "7", "8", "9")
    await ask(world, "GET", f"/v1/machines/{machine_id}/outline", 409)
    await ask(world, "POST", "/v1/machine-templates", 409, json={"name": "x", "machine_id": machine_id})


async def test_a_name_is_taken_once_and_edits_are_versions(world: World) -> None:
    first = await created(world, outline=outline())
    path = f"/v1/machine-templates/{first['template_id']}"
    await ask(world, "POST", "/v1/machine-templates", 409, json={"name": "Two slots", "outline": outline()})
    second = await created(world, name="Other", outline=outline())
    await ask(world, "PATCH", f"/v1/machine-templates/{second['template_id']}", 409, json={"name": "Two slots"})
    edited = await ask(world, "PATCH", path, 200, json={"outline": outline(rail="free")})
    assert (edited["version"], edited["outline"]["rail"]) == (2, "free")
    page = await ask(world, "GET", "/v1/machine-templates", 200)
    assert [line["name"] for line in page["templates"]] == ["Other", "Two slots"]


async def test_a_template_is_of_an_outline_or_of_a_machine(world: World) -> None:
    both = {"name": "x", "outline": outline(), "machine_id": world.seeded.machines[0].machine_id}
    for wish in ({"name": "x"}, both):
        refused = await ask(world, "POST", "/v1/machine-templates", 422, json=wish)
        assert refused["errors"][0]["path"] == "outline"
