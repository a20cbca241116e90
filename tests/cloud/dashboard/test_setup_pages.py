"""The pages of setups over HTTP: each step kept, what is wrong said at its field, nobody let in who may not."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from quart import Response

from cloud.dashboard.setup_steps import HERE
from cloud.web import MAX_JSON_BYTES
from tests.cloud.conftest import World
from tests.cloud.dashboard.test_people_pages import PAGE, text, where
from tests.fakes.cloud_people import Office, PersonAtCloud

SITE = {
    "site": "new",
    "name": "Pune Station",
    "address": "Platform 1",
    "latitude": "18.5289",
    "longitude": "73.8744",
    "currency": "inr",
    "time_zone": "Asia/Kolkata",
    "tax": "12.5",
}


async def begun(person: PersonAtCloud) -> str:
    """Where a new setup is."""
    return (await where(person, "POST", f"{HERE}/new", name="Pune")).removesuffix("/site")


async def send(person: PersonAtCloud, path: str, **form: Any) -> Response:
    """A step's form as its page had it."""
    page = await text(person, path)
    found = re.search(r'name="seen" value="([0-9a-f]+)"', page)
    assert found is not None
    return await person.ask("POST", path, headers=PAGE, form={"seen": found[1], "go": "on"} | form)


async def led(person: PersonAtCloud, path: str, **form: Any) -> str:
    """Where the form of a step leads on to."""
    answer = await send(person, path, **form)
    assert answer.status_code == 303, await answer.get_data(as_text=True)
    return str(answer.headers["Location"])


async def wrong(person: PersonAtCloud, path: str, **form: Any) -> str:
    """The page of a step whose form was not taken."""
    answer = await send(person, path, **form)
    assert answer.status_code == 422
    return str(await answer.get_data(as_text=True))


async def test_a_setup_is_begun_found_again_and_thrown_away(world: World, admin: PersonAtCloud) -> None:
    assert "No setup is under way." in await text(admin, HERE)
    refused = await admin.ask("POST", f"{HERE}/new", headers=PAGE, form={"name": " "})
    assert refused.status_code == 422
    assert "Give it a name" in await refused.get_data(as_text=True)
    here = await begun(admin)
    assert 'href="' + here in await text(admin, HERE)
    assert "Nothing like this." in await text(admin, f"{HERE}?state=finished")
    await text(admin, f"{HERE}?state=nonsense", 422)
    assert await where(admin, "GET", here) == f"{here}/site"
    assert await where(admin, "POST", f"{here}/deletion") == HERE
    await text(admin, f"{here}/site", 404)


@pytest.mark.criterion("9.2")
async def test_the_site_is_kept_as_it_was_typed(world: World, admin: PersonAtCloud) -> None:
    here = await begun(admin)
    assert "Say where" not in await text(admin, f"{here}/site"), "nothing is wrong with what is not begun"
    assert "Say where" in await text(admin, f"{here}/site?look=1")
    page = await wrong(admin, f"{here}/site", **SITE | {"latitude": "91", "tax": "1.555", "time_zone": "Pune"})
    for told in ("Latitude is a number from", "Tax is a number from", "Choose the time zone", 'value="Pune Station"'):
        assert told in page
    assert await led(admin, f"{here}/site", site="new", address="Platform 1") == f"{here}/gateway"
    page = await text(admin, f"{here}/site")
    assert ('value="Platform 1"' in page, "Say which money" in page) == (True, True)
    assert await led(admin, f"{here}/site", **SITE) == f"{here}/gateway"
    (row,) = (await (await world.client.get("/v1/setups", headers=world.operator)).get_json())["setups"]
    kept = await (await world.client.get(f"/v1/setups/{row['setup_id']}", headers=world.operator)).get_json()
    assert kept["site"]["new"] == {
        "name": "Pune Station", "address": "Platform 1", "latitude": 18.5289, "longitude": 73.8744,
        "currency": "INR", "time_zone": "Asia/Kolkata", "tax_basis_points": 1250,
    }  # fmt: skip
    page = await text(admin, f"{here}/site")
    assert ('value="12.50"' in page, 'value="18.5289"' in page) == (True, True)
    assert await led(admin, f"{here}/site", go="back", site=world.seeded.site_id) == HERE
    assert "has a gateway already" in await text(admin, f"{here}/gateway")
    assert "Choose one of your sites" in await wrong(admin, f"{here}/site", site="x")
    assert await where(admin, "GET", here) == f"{here}/machines"


async def test_a_wifi_password_is_kept_and_shown_to_nobody(world: World, admin: PersonAtCloud) -> None:
    here = await begun(admin)
    await led(admin, f"{here}/site", **SITE)
    page = await wrong(admin, f"{here}/gateway", gateway_name="Pi", ssid="shop", password="short", port="0", host="a b")
    assert "8 to 63 characters" in page
    form = {"gateway_name": "Pi", "ssid": "shop", "password": "long enough", "host": "10.0.0.2", "port": "8884"}
    assert "A name or an IP" in await text(admin, f"{here}/gateway")
    assert await led(admin, f"{here}/gateway", **form) == f"{here}/machines"
    page = await text(admin, f"{here}/gateway")
    assert ("long enough" in page, "leave empty to keep it" in page, 'value="8884"' in page) == (False, True, True)
    assert await led(admin, f"{here}/gateway", **form | {"password": "", "go": "back"}) == f"{here}/site"
    assert "8 to 63" in await wrong(admin, f"{here}/gateway", **form | {"ssid": "other", "password": ""})
    emptied = {"gateway_name": "", "ssid": "", "password": "", "host": "", "port": ""}
    await led(admin, f"{here}/gateway", **emptied)
    page = await text(admin, f"{here}/gateway")
    assert ('value="Pi"' in page, 'value="shop"' in page, "leave empty" in page, "8884" in page) == (False,) * 4


async def test_two_who_change_a_setup_do_not_overwrite_each_other(world: World, admin: PersonAtCloud) -> None:
    here = await begun(admin)
    old = re.search(r'name="seen" value="([0-9a-f]+)"', await text(admin, f"{here}/gateway"))
    await led(admin, f"{here}/site", **SITE)
    assert old is not None
    mine = {"seen": old[1], "gateway_name": "Mine"}
    late = await admin.ask("POST", f"{here}/gateway", headers=PAGE, form=mine)
    page = str(await late.get_data(as_text=True))
    assert (late.status_code, "Somebody changed this setup" in page, 'value="Mine"' in page) == (412, True, True)
    now = re.search(r'name="seen" value="([0-9a-f]+)"', page)
    assert now is not None
    assert await where(admin, "POST", f"{here}/gateway", **mine | {"seen": now[1]}) == f"{here}/machines"


async def machine_of(person: PersonAtCloud, here: str, name: str = "Snacks 2", like: str = "") -> str:
    """Where a machine is that was added."""
    return await led(person, f"{here}/machines", name=name, like=like)


NUTS = {
    "name": "Snacks 2",
    "rail": "cash",
    "slot-new": "A1-B2",
    "product-new": "Salted nuts",
    "price-new": "25.5",
    "capacity-new": "10",
    "par-new": "3",
    "opening-new": "7",
}


@pytest.mark.criterion("9.1")
async def test_slots_are_added_by_trays_and_changed_one_by_one(world: World, admin: PersonAtCloud) -> None:
    here = await begun(admin)
    unpaid = await machine_of(admin, here)
    assert "Prices need a currency" in await text(admin, unpaid)
    await led(admin, f"{here}/site", site=world.seeded.site_id)
    assert "Give the machine a name" in await wrong(admin, f"{here}/machines", name=" ")
    assert "A machine needs a slot" in await text(admin, unpaid)
    assert await led(admin, unpaid, **NUTS, go="stay") == f"{unpaid}#slots"
    page = await text(admin, unpaid)
    for number, code in enumerate(("A1", "A2", "B1", "B2")):
        assert f'name="slot-{number}" value="{code}"' in page
    assert ('value="25.50"' in page, 'value="Salted nuts"' in page) == (True, True)
    rows = {
        "name": "Snacks 2", "rail": "free", "slot-0": "c9", "product-0": "", "price-0": "3", "capacity-0": "5",
        "slot-1": "A2", "remove-1": "yes", "slot-2": "B1", "product-2": "Tea", "price-2": "x", "capacity-2": "y",
    }  # fmt: skip
    page = await wrong(admin, unpaid, **rows)
    assert ("Write the price such as 25.00." in page, "from 0 to 1000" in page, 'value="Tea"' in page) == (True,) * 3
    assert await led(admin, unpaid, **rows | {"price-2": "20", "capacity-2": "4", "par-2": "9"}) == f"{here}/devices"
    page = await text(admin, unpaid)
    assert ("Choose a product" in page, "Only 4 fit into the slot." in page) == (True, True)
    assert 'name="slot-2"' not in page
    assert await led(admin, unpaid, **rows | {"price-2": "20", "capacity-2": "4"}, go="back") == f"{here}/machines"
    assert "has problems" in await text(admin, f"{here}/machines")
    assert await where(admin, "POST", f"{unpaid}/removal", seen="old") == f"{here}/machines"
    assert await led_from(admin, f"{here}/machines", f"{unpaid}/removal") == f"{here}/machines"
    await text(admin, unpaid, 404)


async def test_the_largest_machine_is_saved_whatever_its_products_are_called(
    world: World, admin: PersonAtCloud
) -> None:
    here = await begun(admin)
    await led(admin, f"{here}/site", site=world.seeded.site_id)
    machine = await machine_of(admin, here)
    codes = [f"{tray}{place}" for tray in "ABCDEFGHIJKL" for place in range(1, 21)]
    rows = {
        f"{name}-{number}": value
        for number, code in enumerate(codes)
        for name, value in {
            "slot": code, "product": f"{'चाय ' * 28}{code}", "price": "25.50", "capacity": "12", "par": "4",
            "opening": "10", "device": "Board 1",
        }.items()
    }  # fmt: skip
    assert len(urlencode(rows)) > 3 * MAX_JSON_BYTES
    assert await led(admin, machine, name="Snacks 2", rail="cash", **rows) == f"{here}/devices"
    assert f'value="{"चाय " * 28}L20"' in await text(admin, machine)


async def led_from(person: PersonAtCloud, page: str, path: str, **form: str) -> str:
    """Where a form of `page` that is sent to `path` leads on to."""
    found = re.search(r'name="seen" value="([0-9a-f]+)"', await text(person, page))
    assert found is not None
    return await where(person, "POST", path, seen=found[1], **form)


@pytest.mark.criterion("9.5")
async def test_the_board_itself_says_what_is_wrong_with_a_pin_map(world: World, admin: PersonAtCloud) -> None:
    here = await begun(admin)
    await text(admin, f"{here}/devices", 303)
    await led(admin, f"{here}/site", site=world.seeded.site_id)
    machine = await machine_of(admin, here)
    await led(admin, machine, **NUTS)
    devices = machine.replace("/machines/", "/devices/")
    assert await where(admin, "GET", f"{here}/devices") == devices
    form = {"device-0": "Board of the door"}
    assert "This is no JSON: " in await wrong(admin, devices, **form, **{"wiring-0": "{"})
    assert "slots" in await wrong(admin, devices, **form, **{"wiring-0": "{}"})
    long = '{"slots": {"A1": ' + "9" * 5000 + "}}"
    assert "too many digits" in await wrong(admin, devices, **form, **{"wiring-0": long})
    assert await led(admin, devices, **form, **{"example-0": "pins"}) == devices, "to be looked at"
    page = await text(admin, devices)
    assert ("&#34;A1&#34;: {&#34;motor&#34;" in page, 'class="wrong"' in page) == (True, False)
    unwired = json.dumps({"slots": {"A1": {"motor": {"kind": "dc", "output": 6}}}})
    assert await led(admin, devices, **form, **{"wiring-0": unwired}, go="stay") == devices
    page = await text(admin, devices)
    assert re.search(r'id="wiring-0-wrong">slots.A1.motor.output[^<]+flash', page)
    assert "knows no slot A2" in await text(admin, machine)
    assert await led(admin, devices, **form, **{"example-0": "matrix", "device-new": "Second"}) == devices
    assert await led(admin, devices, **form, **{"device-1": "Second", "remove-0": "yes"}) == f"{here}/review"
    page = await text(admin, devices)
    assert ("Board of the door" in page, 'value="Second"' in page) == (False, True)
    assert "The machine has no device" not in await text(admin, machine)
    assert "1 to 7 slots" not in page


async def test_long_pin_maps_of_many_boards_are_saved(world: World, admin: PersonAtCloud) -> None:
    here = await begun(admin)
    await led(admin, f"{here}/site", site=world.seeded.site_id)
    devices = (await machine_of(admin, here)).replace("/machines/", "/devices/")
    stepper = {"kind": "stepper", "step": "shift:1", "direction": "shift:2", "enable": "shift:3", "steps": 200}
    slots = {f"{tray}{place}": {"motor": stepper, "home": "in:1"} for tray in "ABC" for place in range(1, 21)}
    maps = {f"wiring-{place}": json.dumps({"slots": slots}, indent=2) for place in range(8)}
    names = {f"device-{place}": f"Board {place}" for place in range(8)}
    for place in range(1, 8):
        before = {name: text for name, text in names.items() if int(name[-1]) < place}
        await led(admin, devices, **before, **{"device-new": f"Board {place}"}, go="stay")
    assert len(urlencode(maps)) > 2 * MAX_JSON_BYTES
    assert await led(admin, devices, **names, **maps) == f"{here}/review"
    assert "60 slots wired" in await text(admin, f"{here}/review")


@pytest.mark.criterion("9.6")
async def test_a_machine_is_made_like_one_that_works(world: World, admin: PersonAtCloud) -> None:
    here = await begun(admin)
    await led(admin, f"{here}/site", site=world.seeded.site_id)
    like = f"machine:{world.seeded.machines[1].machine_id}"
    first = await machine_of(admin, here, "Drinks 2", like)
    page = await text(admin, first)
    assert page.count('name="slot-') == 7, "six rows and those to be added"
    for nonsense in ("machine:x", "what", f"template:{world.seeded.site_id}"):
        await wrong(admin, f"{here}/machines", name="x", like=nonsense)
    second = await machine_of(admin, here, "Drinks 3", like)
    assert await led(admin, first, name="Drinks 2", rail="cash") == second
    assert await led(admin, second, name="Drinks 3", rail="cash") == f"{here}/devices"
    await wrong(admin, second, name="", rail="cash")
    await wrong(admin, second, name="x", rail="gold")


async def ready(world: World, admin: PersonAtCloud, like: str = "") -> tuple[str, str]:
    """A setup with nothing missing, and its machine."""
    here = await begun(admin)
    await led(admin, f"{here}/site", **SITE)
    await led(admin, f"{here}/gateway", gateway_name="Pi")
    machine = await machine_of(admin, here, like=like)
    if not like:
        await led(admin, machine, **NUTS)
        await led(admin, machine.replace("/machines/", "/devices/"), **{"device-0": "Board 1", "example-0": "pins"})
    return here, machine


@pytest.mark.criterion("9.1")
@pytest.mark.criterion("9.2")
async def test_all_is_looked_at_made_and_made_again_by_a_template(world: World, admin: PersonAtCloud) -> None:
    here = await begun(admin)
    page = await text(admin, f"{here}/review")
    assert "2 things are still missing" in page
    assert f'href="{here}/site?look=1#site"' in page
    assert await led_from(admin, f"{here}/review", f"{here}/deletion") == HERE
    here, machine = await ready(world, admin)
    page = await text(admin, f"{here}/review")
    for told in ("Pune Station (new)", "12.50 %", "INR 25.50", "A new product is made: Salted nuts", "4 slots wired"):
        assert told in page, told
    late = await admin.ask("POST", f"{here}/finish", headers=PAGE, form={"seen": "old"})
    assert late.status_code == 412
    assert await led_from(admin, f"{here}/review", f"{here}/finish") == here
    page = await text(admin, here)
    assert ("What was made" in page, "Pune Station" in page, f"{here}/sheet" in page) == (True, True, True)
    assert await where(admin, "GET", f"{here}/site") == here
    machine_id = machine.rpartition("/")[2]
    assert "No templates yet." in await text(admin, "/templates")
    made, other = {"name": "Four of nuts", "machine_id": machine_id}, {"machine_id": here.rpartition("/")[2]}
    template = await where(admin, "POST", "/templates/new", **made)
    assert await where(admin, "POST", "/templates/new", **made) == "/templates", "its name is taken"
    assert await where(admin, "POST", "/templates/new", name="x", machine_id="x") == "/templates"
    assert await where(admin, "POST", "/templates/new", **made | other) == "/templates"
    assert "4 slots wired" in await text(admin, template)
    assert f'href="{template}"' in await text(admin, "/templates")
    here, machine = await ready(world, admin, like=template.replace("/templates/", "template:"))
    assert "Just as the template Four of nuts" in await text(admin, f"{here}/review")
    await led(
        admin, machine, name="x", rail="cash", **{"slot-0": "A1", "product-0": "Tea", "price-0": "3", "capacity-0": "9"}
    )
    page = await text(admin, f"{here}/review")
    for told in ("A1 has Tea, not Salted nuts.", "A1 costs INR 3.00, not INR 25.50.", "Slot B2 is left out."):
        assert told in page, told
    assert await led_from(admin, template, template, name="Nuts") == template
    refused = await admin.ask("POST", template, headers=PAGE, form={"seen": "old", "name": "Other"})
    assert refused.status_code == 412
    assert (await admin.ask("POST", template, headers=PAGE, form={"name": ""})).status_code == 422
    assert await where(admin, "POST", f"{template}/deletion") == "/templates"
    await text(admin, template, 404)
    assert "Nuts" not in await text(admin, f"{here}/review?")


async def test_nothing_that_can_be_typed_breaks_a_page(world: World, admin: PersonAtCloud) -> None:
    here, machine = await ready(world, admin)
    devices = machine.replace("/machines/", "/devices/")
    nobody = "0190a000-0000-7000-8000-0000000000ff"
    for value in ("", "\u202e💥", "9" * 400, nobody, f"template:{nobody}", "4111 1111 1111 1111", "[[[[", "NaN"):
        for path in (f"{here}/site", f"{here}/gateway", f"{here}/machines", machine, devices):
            page = await text(admin, path)
            seen = re.search(r'name="seen" value="([0-9a-f]+)"', page)
            fields = set(re.findall(r'name="([a-z][a-z0-9_-]+)"', page)) - {"seen", "rail", "go"}
            form = dict.fromkeys(fields, value) | {"seen": seen[1] if seen else "", "rail": "cash"}
            answer = await admin.ask("POST", path, headers=PAGE, form=form)
            assert answer.status_code < 500, (path, value)
            await text(admin, path)
            await text(admin, f"{here}/review")


async def test_who_sets_nothing_up_is_not_let_in(world: World, office: Office, admin: PersonAtCloud) -> None:
    here = await begun(admin)
    shown = (HERE, f"{here}/site", f"{here}/gateway", f"{here}/machines", f"{here}/review", "/templates")
    reader = await office.invited(admin, "vera@larder.example", "technician")
    stranger = await office.invited(admin, "fay@larder.example", "finance")
    for person in (reader, stranger):
        await person.sign_in()
        assert ('href="/setups"' in await text(person, "/orders")) is (person is reader)
        await text(person, f"{HERE}/new", 403)
        for path in (f"{here}/deletion", f"{here}/site", f"{here}/gateway", f"{here}/machines", f"{here}/finish"):
            assert (await person.ask("POST", path, headers=PAGE, form=SITE)).status_code == 403
    for path in shown:
        await text(stranger, path, 403)
        page = await text(reader, path)
        assert not re.search(r'<button(?![^>]*type="button")', page.partition("<main")[2].partition("</main>")[0]), path
    assert "You may look at setups, not change them." in await text(reader, f"{here}/site")
