"""What support does on the pages about customers."""

import re

import pytest

from tests.cloud.conftest import World
from tests.fakes.cloud_people import Office, PersonAtCloud

PAGE = {"Accept": "text/html"}
NUMBER, NAME, SAID = "98200 12345", "Asha Kulkarni", "It took ₹50 & <gave> nothing"


async def text(person: PersonAtCloud, method: str, path: str, status: int = 200, **form: str) -> str:
    more = {"form": form} if method == "POST" else {}
    answer = await person.ask(method, path, headers=PAGE, **more)
    assert answer.status_code == status, (path, answer.status_code)
    return str(await answer.get_data(as_text=True))


async def where(person: PersonAtCloud, path: str, **form: str) -> str:
    answer = await person.ask("POST", path, headers=PAGE, form=form)
    assert answer.status_code == 303, (path, await answer.get_data())
    return str(answer.headers["Location"])


@pytest.mark.criterion("1.3")
async def test_support_helps_somebody_and_forgets_them(world: World, admin: PersonAtCloud) -> None:
    order_id = world.gateway.sell(await world.slot())
    await world.acknowledged()
    assert "No customers yet." in await text(admin, "GET", "/customers")
    assert "Must be a telephone number" in await text(admin, "POST", "/customers/search", 422, phone="")
    asked = await text(admin, "POST", "/customers/search", phone=NUMBER)
    assert "Nobody with this number is known." in asked
    assert f'value="{NUMBER}"' in asked
    wrong = await text(admin, "POST", "/customers/new", 422, phone=NUMBER, upi_address="asha")
    assert "Must be a UPI address, such as asha@okbank." in wrong
    here = await where(admin, "/customers/new", phone=NUMBER, name=NAME, text=SAID)
    assert await where(admin, "/customers/search", phone="+91 98200 12345") == here
    for place in (here, "/customers"):
        assert not re.search(r"98200|Asha", place)
    assert await where(admin, f"{here}/orders", order_id=str(order_id)) == here
    card = await text(admin, "POST", f"{here}/notes", 422, text="4111 1111 1111 1111")
    assert "payment card" in card
    assert await where(admin, f"{here}/notes", text="Sent it back", order_id=str(order_id)) == here
    page = await text(admin, "GET", here)
    for said in (NAME, "+91 98200 12345", "It took ₹50 &amp; &lt;gave&gt; nothing", "Sent it back", str(order_id)):
        assert said in page
    assert NAME not in await text(admin, "GET", "/customers"), "who they are is shown one by one, and audited"
    await where(admin, f"{here}/edit", phone=NUMBER, name="", upi_address="asha@okbank")
    edited = await text(admin, "GET", f"{here}/edit")
    assert "asha@okbank" in edited
    assert NAME not in edited
    found = await text(admin, "GET", f"{here}/orders?machine={(await world.slot()).machine_id}")
    assert str(order_id) in found
    assert "Must be a day" in await text(admin, "GET", f"{here}/orders?day=yesterday", 422)
    assert SAID in await (await admin.get(f"{here}/export")).get_data(as_text=True)
    await where(admin, f"{here}/erasure", typed="yes")
    assert "Sent it back" in await text(admin, "GET", here)
    await where(admin, f"{here}/erasure", typed=" Erase ")
    gone = await text(admin, "GET", here)
    assert "because they asked for it" in gone
    assert "asha@okbank" not in gone
    assert "Nobody with this number is known." in await text(admin, "POST", "/customers/search", phone=NUMBER)


async def test_who_may_not_erase_is_not_offered_it_and_settings_are_told(
    world: World, office: Office, admin: PersonAtCloud
) -> None:
    here = await where(admin, "/customers/new", phone=NUMBER)
    operator = await office.invited(admin, "otis@staff.example", "operator")
    await operator.sign_in()
    page = await text(operator, "GET", here)
    assert "New note" in page
    assert "/erasure" not in page
    assert "/customers/settings" not in await text(operator, "GET", "/customers")
    viewer = await office.invited(admin, "vera@staff.example", "viewer")
    await viewer.sign_in()
    assert 'href="/customers"' not in await text(viewer, "GET", "/orders")
    await text(viewer, "GET", "/customers", 403)
    assert "Must be 1 to 3,650 days." in await text(admin, "POST", "/customers/settings", 422, country="IN")
    assert "Is none whose" in await text(admin, "POST", "/customers/settings", 422, country="XX", keep_days="9")
    assert await where(admin, "/customers/settings", country="de", keep_days="90") == "/customers"
    assert "90 days after they were last heard of" in await text(admin, "GET", "/customers")
