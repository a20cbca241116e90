"""A sheet is made, looked at on a phone and on paper, and the checklist follows the site by itself."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from edge.site_ca import SiteCa
from shared.devices import DeviceClaimed, DeviceLinkChanged
from tests.cloud.conftest import World, claim
from tests.cloud.dashboard.test_people_in_browser import Story
from tests.cloud.setups.test_setups import ask
from tests.cloud.sheets.test_sheets import board_set_up_by, finished
from tests.fakes.browser import chromium
from tests.fakes.cloud_people import PersonAtCloud
from tests.fakes.gateway_client import GatewayClient
from tests.fakes.qr_reader import read_codes

KEEP_SAVED = (
    "URL.createObjectURL = new Proxy(URL.createObjectURL, {apply: (make, on, [blob]) =>"
    " Reflect.apply(make, on, [window.saved = blob])}); 0"
)


@pytest.mark.criterion("9.3")
async def test_a_sheet_is_taken_to_the_site_and_the_checklist_follows(world: World, url: str, tmp_path: Path) -> None:
    path = await finished(world)
    here = f"{url}{path.removeprefix('/v1')}"
    async with chromium() as browser:
        story = Story(browser, url, world)
        await browser.open(f"{here}/sheet")
        await story.sign_in(PersonAtCloud(world.app, world.seeded.email, world.seeded.password))
        await browser.see("What somebody takes to the site")
        await story.whole("sheet-new", 360)
        await story.press("Make the sheet")
        await browser.see("Type this at the gateway")
        await story.whole("sheet-gateway", 360, "dark")
        (command,) = await read_codes(browser, tmp_path)
        assert command == await browser.evaluate("document.querySelector('#command').value")
        gateway = GatewayClient(ca_pem=SiteCa.open(tmp_path).certificate_pem)
        await claim(world.client, gateway, command.rsplit(" ", 1)[1])

        await browser.call("goto", f"{here}/sheet")
        await story.press("Make the sheet")
        await browser.see("Scan this code")
        assert await browser.evaluate("document.querySelectorAll('[href^=data]').length") == 0
        await browser.evaluate(KEEP_SAVED)
        await story.press("Save settings.json")
        assert '"key"' in await browser.evaluate("window.saved.text()")
        await story.whole("sheet-device", 360)
        await story.whole("sheet-device", 1280, "dark")
        await browser.call("emulateMedia", {"media": "print"})
        await browser.keep_picture("sheet-on-paper")
        (address,) = await read_codes(browser, tmp_path)
        machine = (await ask(world, "GET", path, 200))["machines"][0]
        assert board_set_up_by(address).device_id == machine["device_ids"]["board"]
        assert await browser.evaluate("getComputedStyle(document.querySelector('.bar')).display") == "none"
        await browser.call("emulateMedia", {"media": "screen"})

        await browser.tap("text=To the checklist")
        await browser.see("1 of 8")
        await story.whole("checks", 360, "dark")
        device: dict[str, Any] = {
            "device_id": UUID(machine["device_ids"]["board"]),
            "machine_id": UUID(machine["machine_id"]),
        }
        gateway.add(DeviceClaimed(**device), DeviceLinkChanged(online=True, reason="connected", **device))
        answer = await world.client.post("/v1/sync/facts", data=gateway.packed(), headers=gateway.headers())
        assert answer.status_code == 200
        await browser.see("5 of 8")
        await browser.call("fill", "#reason", "The coil of A2 comes tomorrow")
        await story.whole("checks")
        await story.press("Sign the report")
        await browser.see("The report was signed")


@pytest.mark.criterion("9.3")
async def test_a_stick_is_made_ready(world: World, url: str) -> None:
    path = await finished(world)
    async with chromium() as browser:
        story = Story(browser, url, world)
        await browser.open(f"{url}{path.removeprefix('/v1')}/sheet")
        await story.sign_in(PersonAtCloud(world.app, world.seeded.email, world.seeded.password))
        await story.press("Make the sheet with a stick’s file")
        await browser.see("Save this file onto a USB stick")
        await browser.evaluate(KEEP_SAVED)
        await story.press("Save pune-station.larder-site")
        assert (await browser.evaluate("window.saved.slice(0, 18).text()")) == "LARDER SITE BUNDLE"
        await story.whole("sheet-bundle", 360)
        await story.whole("sheet-bundle", 1280, "dark")
