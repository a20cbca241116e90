"""A setup by the API: kept step by step, taken up again, and done at once."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from cloud.callers import system
from cloud.clock import Clock, new_id
from cloud.onboarding.service import create_site, issue_claim_code
from shared.catalog import MachineVersion, PlanogramVersion, ProductVersion
from shared.devices import ExpectedDevice
from shared.inventory import StockInstruction
from shared.sync import Changes
from tests.cloud.conftest import World, claim
from tests.fakes.gateway_client import GatewayClient

NEW_SITE = {
    "name": "Pune Station",
    "address": "Platform 1",
    "latitude": 18.5289,
    "longitude": 73.8744,
    "currency": "INR",
    "time_zone": "Asia/Kolkata",
    "tax_basis_points": 1200,
}
WIRING = {
    "slots": {"A1": {"motor": {"kind": "dc", "output": 25}, "home": 26}, "A2": {"motor": {"kind": "dc", "output": 27}}}
}
PASSWORD = "the shop's own Wi-Fi"


def outline(**changed: Any) -> dict[str, Any]:
    slots = [
        {
            "slot": code,
            "device": "board",
            "product_name": "Nuts",
            "price_minor": 2500,
            "capacity": 12,
            "par_level": 4,
            "opening": 10,
        }
        for code in ("A1", "A2")
    ]
    return {"rail": "cash", "devices": [{"name": "board", "wiring": WIRING}], "slots": slots} | changed


async def ask(
    world: World, method: str, path: str, status: int, headers: dict[str, str] | None = None, **told: Any
) -> Any:
    key = {"Idempotency-Key": str(new_id())} if method == "POST" else {}
    answer = await world.client.open(path, method=method, headers=world.operator | key | (headers or {}), **told)
    text = await answer.get_data(as_text=True)
    assert answer.status_code == status, text
    return await answer.get_json() if text else None


async def begun(world: World) -> str:
    made = await ask(world, "POST", "/v1/setups", 201, json={"name": "Pune"})
    assert made["problems"], "nothing is in it yet"
    return f"/v1/setups/{made['setup_id']}"


async def ready(world: World) -> str:
    path = await begun(world)
    await ask(world, "PATCH", path, 200, json={"site": {"new": NEW_SITE}, "gateway_name": "Pi"})
    await ask(world, "PATCH", path, 200, json={"wifi": {"ssid": "shop", "password": PASSWORD}})
    kept = await ask(world, "PATCH", path, 200, json={"machines": [{"name": "Snacks 2", "outline": outline()}]})
    assert kept["problems"] == []
    return path


async def everything(world: World) -> list[dict[str, Any]]:
    return await world.rows(
        "SELECT (SELECT count(*) FROM sites) AS sites, (SELECT count(*) FROM gateways) AS gateways,"
        " (SELECT count(*) FROM machines) AS machines, (SELECT count(*) FROM devices) AS devices,"
        " (SELECT count(*) FROM products) AS products, (SELECT count(*) FROM planogram_slots) AS slots"
    )


@pytest.mark.criterion("9.1")
@pytest.mark.criterion("9.2")
@pytest.mark.criterion("9.4")
@pytest.mark.criterion("9.5")
async def test_a_finished_setup_is_a_site_whose_gateway_learns_all_of_it(world: World) -> None:
    path = await ready(world)
    before = (await everything(world))[0]
    done = await ask(world, "POST", f"{path}/finish", 200)
    assert done["state"] == "finished"
    after = (await everything(world))[0]
    assert {name: after[name] - before[name] for name in after} == {
        "sites": 1, "gateways": 1, "machines": 1, "devices": 1, "products": 1, "slots": 2,
    }  # fmt: skip
    site = await ask(world, "GET", f"/v1/sites/{done['site_id']}", 200)
    assert site == {"site_id": done["site_id"]} | NEW_SITE
    changes = await pulled(world, done["gateway_id"])
    (machine,) = [c for c in changes if isinstance(c, MachineVersion)]
    assert (str(machine.machine_id), machine.currency) == (done["machines"][0]["machine_id"], "INR")
    (plan,) = [c for c in changes if isinstance(c, PlanogramVersion)]
    assert [slot.slot for slot in plan.slots] == ["A1", "A2"]
    (device,) = [c for c in changes if isinstance(c, ExpectedDevice)]
    assert str(device.device_id) == done["machines"][0]["device_ids"]["board"]
    assert [c.name for c in changes if isinstance(c, ProductVersion)] == ["Nuts"]
    opening = [(c.slot, c.delta) for c in changes if isinstance(c, StockInstruction)]
    assert sorted(opening) == [("A1", 10), ("A2", 10)]


async def pulled(world: World, gateway_id: str) -> list[Any]:
    """What the new gateway hears first."""

    async def work(transaction: Any) -> str:
        return await issue_claim_code(transaction, system("test"), world.tenant_id, UUID(gateway_id), Clock().now())

    gateway = GatewayClient()
    await claim(world.client, gateway, await world.do(work))
    answer = await world.client.get("/v1/sync/changes", headers=gateway.authorisation())
    return list(Changes.model_validate_json(await answer.get_data()).changes)


async def test_what_was_entered_is_there_again_and_the_password_is_shown_to_nobody(world: World) -> None:
    path = await ready(world)
    again = await ask(world, "GET", path, 200)
    assert again["site"]["new"] == NEW_SITE
    assert again["machines"][0]["outline"]["slots"][0]["product_name"] == "Nuts"
    assert (again["wifi_ssid"], PASSWORD in str(again)) == ("shop", False)
    assert PASSWORD not in str(await world.rows("SELECT s::text FROM setups s"))
    page = await ask(world, "GET", "/v1/setups?state=open", 200)
    assert [line["name"] for line in page["setups"]] == ["Pune"]


async def test_nothing_is_made_while_something_is_missing(world: World) -> None:
    path = await begun(world)
    before = await everything(world)
    refused = await ask(world, "POST", f"{path}/finish", 422)
    assert [error["path"] for error in refused["errors"]] == ["site", "machines"]
    assert await everything(world) == before


async def test_it_is_finished_once_however_often_that_is_asked(world: World) -> None:
    path = await ready(world)
    before = (await everything(world))[0]
    first, *others = await asyncio.gather(*(ask(world, "POST", f"{path}/finish", 200) for _ in range(3)))
    assert others == [first, first]
    assert await ask(world, "POST", f"{path}/finish", 200) == first
    assert (await everything(world))[0]["machines"] == before["machines"] + 1
    await ask(world, "PATCH", path, 409, json={"name": "other"})
    await ask(world, "DELETE", path, 409)


async def test_ids_stay_while_the_machine_is_changed(world: World) -> None:
    path = await ready(world)
    was = (await ask(world, "GET", path, 200))["machines"][0]
    wish = {
        "machine_id": was["machine_id"],
        "name": "Renamed",
        "outline": outline(devices=[{"name": "board"}, {"name": "second"}]),
    }
    now = (await ask(world, "PATCH", path, 200, json={"machines": [wish]}))["machines"][0]
    assert (now["machine_id"], now["device_ids"]["board"]) == (was["machine_id"], was["device_ids"]["board"])
    assert now["device_ids"]["second"] != was["device_ids"]["board"]
    refused = await ask(world, "PATCH", path, 422, json={"machines": [wish, wish]})
    assert refused["errors"][0]["path"] == "machines.1.machine_id"


async def test_two_who_edit_at_once_do_not_overwrite_each_other(world: World) -> None:
    path = await begun(world)
    tag = (await world.client.get(path, headers=world.operator)).headers["ETag"]
    await ask(world, "PATCH", path, 200, {"If-Match": tag}, json={"gateway_name": "mine"})
    await ask(world, "PATCH", path, 412, {"If-Match": tag}, json={"gateway_name": "yours"})


async def test_a_step_is_taken_away_by_null_and_stays_when_it_is_left_out(world: World) -> None:
    path = await ready(world)
    address = {"host": "gateway.local", "port": 8883}
    kept = await ask(world, "PATCH", path, 200, json={"gateway_address": address})
    assert (kept["gateway_name"], kept["gateway_address"], kept["wifi_ssid"]) == ("Pi", address, "shop")
    taken = {"gateway_name": None, "gateway_address": None, "wifi": None, "name": None, "machines": None}
    left = await ask(world, "PATCH", path, 200, json=taken)
    assert (left["gateway_name"], left["gateway_address"], left["wifi_ssid"]) == (None, None, None)
    assert (left["name"], len(left["machines"])) == ("Pune", 1)
    gone = await ask(world, "PATCH", path, 200, json={"site": None})
    assert [problem["path"] for problem in gone["problems"]] == ["site"]


async def test_a_new_site_is_kept_before_all_of_it_is_known(world: World) -> None:
    path = await ready(world)
    kept = await ask(world, "PATCH", path, 200, json={"site": {"new": {"address": "Platform 1"}}})
    assert kept["site"]["new"]["address"] == "Platform 1"
    missing = ["site.new.name", "site.new.currency", "site.new.time_zone"]
    assert [problem["path"] for problem in kept["problems"]] == missing
    before = await everything(world)
    refused = await ask(world, "POST", f"{path}/finish", 422)
    assert [error["path"] for error in refused["errors"]] == missing
    assert await everything(world) == before


async def test_who_changed_what_is_written_down_and_no_password(world: World) -> None:
    path = await ready(world)
    await ask(world, "PATCH", path, 200, json={"gateway_name": "Pi"})
    await ask(world, "POST", f"{path}/machines", 201, json={"name": "Empty"})
    told = (await ask(world, "GET", "/v1/audit?action=setup_changed", 200))["entries"]
    assert [entry["after"]["changed"] for entry in told[::-1]] == [
        ["gateway_name", "site"], ["wifi"], ["machines"], ["machines"]
    ]  # fmt: skip
    assert PASSWORD not in str(await world.rows("SELECT t::text FROM audit_entries t"))


async def test_an_open_one_can_be_thrown_away(world: World) -> None:
    path = await begun(world)
    await ask(world, "DELETE", path, 204)
    await ask(world, "GET", path, 404)


async def test_all_that_fits_into_a_setup_is_made_with_no_statement_a_slot(world: World) -> None:
    codes = [f"{tray}{place}" for tray in "ABCDEFGHIJKL" for place in range(1, 21)]
    machines = []
    for number in range(12):
        slots = [outline()["slots"][0] | {"slot": code, "product_name": f"Nuts {number} {code}"} for code in codes]
        machines.append({"name": f"M{number}", "outline": outline(devices=[{"name": "board"}], slots=slots)})
    path = await begun(world)
    site = {"site": {"new": NEW_SITE}, "gateway_name": "Pi"}
    kept = await ask(world, "PATCH", path, 200, json=site | {"machines": machines})
    assert kept["problems"] == []
    await ask(world, "POST", f"{path}/finish", 200)
    commands = await world.rows(
        "SELECT count(*) AS rows, count(DISTINCT s.cmin::text) AS statements FROM planogram_slots s"
        " JOIN products p ON p.tenant_id = s.tenant_id AND p.id = s.product_id WHERE p.name LIKE 'Nuts %'"
    )
    assert commands == [{"rows": 12 * 240, "statements": 12}]
    made = await world.rows(
        "SELECT count(*) AS rows, count(DISTINCT cmin::text) AS statements FROM products WHERE name LIKE 'Nuts %'"
    )
    assert made == [{"rows": 12 * 240, "statements": 1}]


async def test_a_product_that_two_setups_named_is_one(world: World) -> None:
    paths = [await ready(world), await ready(world)]
    await asyncio.gather(*(ask(world, "POST", f"{path}/finish", 200) for path in paths))
    assert len(await world.rows("SELECT id FROM products WHERE name = 'Nuts'")) == 1
    made = [entry["after"]["products"] for entry in await finished(world)]
    assert sorted(len(products) for products in made) == [0, 1]


async def test_setups_of_a_site_without_a_gateway_that_are_finished_at_once_share_a_new_one(world: World) -> None:
    async def bare(_: Any) -> UUID:
        return await create_site(world.tenant_id, "Bare", "INR")

    site_id, product = str(await world.do(bare)), str((await world.slot()).product_id)
    slot = {"product_name": None, "product_id": product}
    slots = [one | slot for one in outline()["slots"]]
    paths = [await ready(world) for _ in range(4)]
    for path in paths:
        machine = {"name": "Snacks 2", "outline": outline(slots=slots)}
        await ask(world, "PATCH", path, 200, json={"site": {"site_id": site_id}, "machines": [machine]})
    made = await asyncio.gather(*(ask(world, "POST", f"{path}/finish", 200) for path in paths))
    assert len({setup["gateway_id"] for setup in made}) == 1


async def finished(world: World) -> list[Any]:
    told: list[Any] = (await ask(world, "GET", "/v1/audit?action=setup_finished", 200))["entries"]
    return told


@pytest.mark.criterion("9.6")
async def test_a_machine_can_be_made_like_one_that_works(world: World) -> None:
    path, like = await begun(world), world.seeded.machines[1].machine_id
    edited = await ask(world, "POST", f"{path}/machines", 201, json={"name": "Drinks 2", "machine_id": like})
    (machine,) = edited["machines"]
    assert machine["machine_id"] != like
    assert machine["outline"]["rail"] == "cash"
    assert [slot["slot"] for slot in machine["outline"]["slots"]] == [f"A{number}" for number in range(1, 7)]
    assert {slot["opening"] for slot in machine["outline"]["slots"]} == {0}
    await ask(world, "PATCH", path, 200, json={"site": {"site_id": world.seeded.site_id}})
    done = await ask(world, "POST", f"{path}/finish", 200)
    assert (done["site_id"], done["gateway_id"]) == (world.seeded.site_id, world.seeded.gateway_id)
