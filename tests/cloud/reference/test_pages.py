"""The pages that explain the API, in a real browser under the content policy."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from edge.kiosk.server import bind, serve
from tests.cloud.conftest import World
from tests.fakes.browser import Browser, chromium


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    listener, draining = bind("127.0.0.1", 0), asyncio.Event()
    where = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = asyncio.create_task(serve(world.app, listener, draining), name="cloud")
    yield where
    draining.set()
    await server


@pytest.mark.criterion("5.4")
async def test_the_reference_can_be_read_in_a_browser(url: str, browser: Browser) -> None:
    await browser.open(f"{url}/docs", width=1440, height=900)
    await browser.see("List orders")
    shown = await browser.evaluate("document.querySelectorAll('article.operation').length")
    told = await browser.evaluate(
        "fetch('/openapi.json').then(r => r.json()).then(d => Object.values(d.paths).flatMap(Object.values).length)"
    )
    assert shown == told
    assert await browser.evaluate(
        "document.querySelectorAll('.copy').length === document.querySelectorAll('pre').length"
    )
    await browser.tap("article#list_orders .copy >> nth=1")
    assert (
        await browser.evaluate("getSelection().toString().trim()") == "for row in client.orders.list():\n    print(row)"
    )
    assert await browser.evaluate("document.querySelectorAll('article pre').length") > 2 * told
    assert await browser.evaluate("getComputedStyle(document.querySelector('.contents')).position") == "sticky"
    assert await browser.evaluate("document.body.scrollWidth <= innerWidth")
    await browser.keep_picture("reference-light")
    await browser.open(f"{url}/docs#list_orders", width=1440, height=900, theme="dark")
    await browser.keep_picture("reference-dark")
    await browser.open(f"{url}/docs", width=360, height=800)
    assert await browser.evaluate("document.body.scrollWidth <= innerWidth")
    await browser.keep_picture("reference-phone")
    await browser.open(f"{url}/docs/problems/validation_failed", width=1280)
    await browser.see("What to do")
    await browser.keep_picture("problem")
    assert await browser.evaluate("document.querySelectorAll('.codes a').length") == shown
    assert await browser.trouble() == []
