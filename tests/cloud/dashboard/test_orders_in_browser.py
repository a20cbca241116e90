"""The orders page as an operator sees it: a real cloud, a real browser, a sale that comes up by itself."""

from shared.inventory import Reason
from shared.orders import VendOutcome
from tests.cloud.conftest import World
from tests.fakes.browser import chromium


async def sell(world: World, outcomes: list[VendOutcome]) -> None:
    slot = await world.slot(1)
    world.gateway.move(slot, 10, Reason.OPENING)
    world.gateway.sell(slot, outcomes)
    await world.acknowledged()


async def test_a_sale_comes_up_on_a_page_that_anybody_can_use(world: World, url: str) -> None:
    async with chromium() as browser:
        await browser.open(url)
        await browser.call("fill", "#email", world.seeded.email)
        await browser.call("fill", "#password", "not the password")
        await browser.press("Enter")
        await browser.see("This address and password do not belong together.")
        assert await browser.barriers() == []
        assert len(await browser.trouble()) == 1, "the browser tells of the 401, and of nothing else"
        await browser.open(url)
        await browser.call("fill", "#email", world.seeded.email)
        await browser.call("fill", "#password", world.seeded.password)
        await browser.press("Enter")
        await browser.see("No orders yet.")
        await browser.see("Live")
        await browser.keep_picture("orders-empty")
        await sell(world, [VendOutcome.DISPENSED, VendOutcome.AMBIGUOUS])
        await browser.see("2 × Salted Peanuts")
        await browser.see("₹40.00")
        for theme in ("light", "dark"):
            await browser.call("emulateMedia", {"colorScheme": theme})
            for width in (1280, 360):
                await browser.call("setViewportSize", {"width": width, "height": 800})
                assert await browser.barriers() == []
                assert await browser.evaluate("document.documentElement.scrollWidth") == width
                await browser.keep_picture(f"orders-{width}-{theme}")
        assert await browser.trouble() == []
        await browser.tap("#account-button")
        await browser.tap("role=menuitem[name='Sign out']")
        await browser.see("You are signed out.")
