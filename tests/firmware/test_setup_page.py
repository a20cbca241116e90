"""The set-up page in a real browser, at a board that this PC plays."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.signed import setup_address
from tests.fakes.browser import Browser, chromium
from tests.fakes.setup_site import SetupSite, setup_site

PHONE, SMALL = 360, 640
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def site(tmp_path: Path) -> AsyncIterator[SetupSite]:
    async with setup_site(tmp_path) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


def address(site: SetupSite, data: bytes) -> str:
    return setup_address(data, site.url + "/")


async def overflow(browser: Browser) -> int:
    return int(await browser.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.criterion("9.3")
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_phone_reads_the_code_and_sets_the_machine_up(site: SetupSite, browser: Browser, theme: str) -> None:
    data = site.key.sign(site.values())
    await browser.open(address(site, data), PHONE, SMALL, theme)
    await browser.see("Site 7")
    await browser.see("A1, A2")
    assert await browser.evaluate("location.hash") == "", "what is secret does not stay in the address"
    assert await browser.evaluate("history.length") <= 2
    await browser.keep_picture(f"setup-read-{theme}")
    assert await overflow(browser) <= 0
    await browser.tap('role=button[name="Set up with these"]')
    await browser.see("Checking the signature")
    await browser.keep_picture(f"setup-working-{theme}")
    await browser.see("Saved. The machine restarts")
    await browser.keep_picture(f"setup-saved-{theme}")
    assert await overflow(browser) <= 0
    assert site.saved == data
    assert await browser.trouble() == []


@pytest.mark.criterion("9.3")
async def test_what_is_wrong_is_said_and_can_be_put_right_by_paste(site: SetupSite, browser: Browser) -> None:
    wrong = site.key.sign(site.values(wifi={"ssid": "Site 7", "password": "another password"}))
    await browser.open(site.url, PHONE, SMALL)
    await browser.see("Scan the second code")
    await browser.see("LARDER-C0DE")
    await browser.keep_picture("setup-waiting")
    await browser.tap('role=button[name="Read them"]')
    await browser.see("These are no settings")
    await browser.call("fill", "textarea", wrong.decode())
    await browser.tap('role=button[name="Read them"]')
    await browser.press("Enter")
    await browser.see("Not saved: the Wi-Fi Site 7 is not in reach")
    await browser.keep_picture("setup-failed")
    assert await overflow(browser) <= 0
    right = site.key.sign(site.values())
    await browser.evaluate(f"location.hash = {json.dumps(address(site, right).partition('#')[2])}")
    await browser.see("127.0.0.1")
    await browser.press("Enter")
    await browser.see("Saved. The machine restarts")
    assert site.saved == right
    assert await browser.trouble() == []


async def test_a_strangers_settings_are_refused_and_no_request_held_them(site: SetupSite, browser: Browser) -> None:
    await browser.open(address(site, json.dumps(site.values()).encode()), PHONE, SMALL)
    await browser.tap('role=button[name="Set up with these"]')
    await browser.see("Not saved: settings.json: nobody has signed it.")
    assert site.saved == b""
    asked = await browser.evaluate("performance.getEntries().map((entry) => entry.name).filter((n) => n.includes('/'))")
    assert {str(name).partition("#")[0] for name in asked} <= {site.url + path for path in ("/", "/state", "/settings")}


async def test_a_page_that_loses_its_board_says_so(tmp_path: Path, browser: Browser) -> None:
    async with setup_site(tmp_path, "settings.json: the signature is wrong") as site:
        await browser.open(site.url, PHONE, SMALL)
        await browser.see("The settings on the board cannot be used: settings.json: the signature is wrong.")
    for _ in range(6):
        await browser.wait(1)
    await browser.see("The board does not answer.")
