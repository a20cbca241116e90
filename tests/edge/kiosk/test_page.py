"""The kiosk page in a real browser, against a fake gateway: what a customer does and sees."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from shared.catalog import Catalogue, CatalogueSlot, SlotState
from shared.contract import Rail
from shared.errors import Code
from shared.orders import OrderState, VendOutcome, VendProgress
from tests.fakes.browser import Browser, chromium
from tests.fakes.kiosk_api import FakeKiosk

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRODUCTS = ("Masala Chips", "Mango Juice", "Dark Chocolate", "Salted Peanuts", "Cola 330 ml", "Glucose Biscuits")


def catalogue(rail: Rail, **fields: object) -> Catalogue:
    slots = tuple(
        CatalogueSlot(
            slot=f"{'AB'[index // 3]}{index % 3 + 1}",
            product_id=UUID(int=index + 1),
            name=name,
            price_minor=0 if rail is Rail.FREE else 1000 * (index + 1) + 50 * (index % 2),
            available=(4, 2, 6, 0, 3, 5)[index],
            state=(SlotState.OK, SlotState.OK, SlotState.OK, SlotState.SOLD_OUT, SlotState.SUSPECT, SlotState.OK)[
                index
            ],
        )
        for index, name in enumerate(PRODUCTS)
    )
    whole = Catalogue(
        machine_id=uuid4(),
        name="Lobby, ground floor",
        rail=rail,
        currency="INR",
        in_service=True,
        planogram_version=3,
        credit_minor=0,
        slots=slots,
    )
    return whole.model_copy(update=fields)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def kiosk() -> AsyncIterator[FakeKiosk]:
    fake = FakeKiosk()
    await fake.start()
    yield fake
    await fake.stop()


async def show(
    kiosk: FakeKiosk, browser: Browser, shown: Catalogue, width: int = 1280, height: int = 800, theme: str = "light"
) -> None:
    kiosk.catalogues = {shown.machine_id: shown}
    await browser.open(kiosk.url, width, height, theme)
    await browser.see(shown.name)


async def choose(browser: Browser, *names: str) -> None:
    for name in names:
        await browser.tap(f'role=button[name="{name}"]')


async def end(kiosk: FakeKiosk, *outcomes: VendOutcome, given_back: int = 0) -> None:
    for index, outcome in enumerate(outcomes):
        await kiosk.move_vend(index, VendProgress.DONE, outcome)
    await kiosk.move_order(state=OrderState.SETTLED, given_back_minor=given_back)


async def test_a_tapped_product_is_watched_until_it_is_out(kiosk: FakeKiosk, browser: Browser) -> None:
    shown = catalogue(Rail.FREE)
    await show(kiosk, browser, shown)
    await choose(browser, "Masala Chips Free A1", "Take it for free")
    await browser.see("One moment…")
    await kiosk.move_vend(0, VendProgress.STARTED)
    await browser.see("On its way")
    await browser.keep_picture("dispensing")
    await end(kiosk, VendOutcome.DISPENSED)
    await browser.see("Take your product")
    await browser.keep_picture("done")
    await choose(browser, "Done")
    sold_out = shown.slots[0].model_copy(update={"available": 0, "state": SlotState.SOLD_OUT})
    await kiosk.show(shown.model_copy(update={"slots": (sold_out, *shown.slots[1:])}))
    await browser.call("waitForSelector", 'role=button[name="Masala Chips Sold out A1"][disabled]')
    assert await browser.trouble() == []


async def test_coins_several_products_and_a_part_that_fails(kiosk: FakeKiosk, browser: Browser) -> None:
    await show(kiosk, browser, catalogue(Rail.CASH, credit_minor=500))
    await choose(browser, "Masala Chips ₹10 A1", "Mango Juice ₹20.50 A2", "One more Masala Chips")
    await browser.see("2 × Masala Chips, Mango Juice")
    await browser.see("then insert ₹35.50")
    await browser.keep_picture("chosen")
    await choose(browser, "Buy for ₹40.50")
    await browser.see("₹35.50")
    await browser.keep_picture("coins")
    await kiosk.move_order(due_minor=550)
    await browser.see("₹5.50")
    await kiosk.move_order(due_minor=0)
    await end(kiosk, VendOutcome.DISPENSED, VendOutcome.NO_DROP, VendOutcome.DISPENSED, given_back=1000)
    await browser.see("2 of 3 came out")
    await browser.see("Your money is back as credit: ₹10")
    await browser.keep_picture("partly-failed")
    assert await browser.trouble() == []


@pytest.mark.parametrize("outcome", [VendOutcome.NOT_STARTED, VendOutcome.NO_DROP, VendOutcome.AMBIGUOUS])
async def test_nothing_came_out(kiosk: FakeKiosk, browser: Browser, outcome: VendOutcome) -> None:
    await show(kiosk, browser, catalogue(Rail.CASH, credit_minor=5000))
    await choose(browser, "Masala Chips ₹10 A1", "Buy for ₹10")
    await browser.see("One moment…")
    await end(kiosk, outcome, given_back=1000)
    await browser.see("Sorry, nothing came out")
    await browser.see("Your money is back as credit: ₹10")
    await choose(browser, "Choose again")
    await browser.see("Lobby, ground floor")


async def test_the_customer_cancels(kiosk: FakeKiosk, browser: Browser) -> None:
    await show(kiosk, browser, catalogue(Rail.CASH))
    await choose(browser, "Masala Chips ₹10 A1", "Buy for ₹10", "Cancel")
    await browser.see("Order cancelled")
    await browser.see("Nothing was taken from your credit.")
    assert not await browser.evaluate("document.body.textContent.includes('another one at this machine')")


async def test_somebody_else_orders_before_the_coins_are_in(kiosk: FakeKiosk, browser: Browser) -> None:
    await show(kiosk, browser, catalogue(Rail.CASH))
    await choose(browser, "Masala Chips ₹10 A1", "Buy for ₹10")
    await browser.see("Please insert")
    await kiosk.move_order(state=OrderState.CANCELLED)
    await browser.see("Order cancelled")
    await browser.see("another one at this machine")
    await choose(browser, "Choose again")
    await browser.see("Lobby, ground floor")


async def test_a_refusal_is_told_and_the_customer_chooses_again(kiosk: FakeKiosk, browser: Browser) -> None:
    await show(kiosk, browser, catalogue(Rail.FREE))
    kiosk.refusal = Code.SOLD_OUT
    await choose(browser, "Masala Chips Free A1", "Take it for free")
    await browser.see("Somebody was faster")
    await browser.keep_picture("refused")
    kiosk.refusal = None
    await choose(browser, "Dark Chocolate Free A3", "Take it for free")
    await browser.see("One moment…")


async def test_an_order_survives_a_silent_gateway_and_is_made_once(kiosk: FakeKiosk, browser: Browser) -> None:
    await show(kiosk, browser, catalogue(Rail.FREE))
    await choose(browser, "Masala Chips Free A1")
    await kiosk.stop()
    await browser.see("Looking for the machine…")
    await choose(browser, "Take it for free")
    await browser.see("Still trying…")
    await browser.keep_picture("unreachable")
    await kiosk.start()
    await browser.see("One moment…")
    assert len(kiosk.orders) == 1
    await kiosk.move_vend(0, VendProgress.STARTED)
    await browser.see("On its way")
    await browser.call("reload")
    await browser.see("On its way")
    assert len(kiosk.orders) == 1


async def test_after_a_minute_of_silence_the_customer_decides(kiosk: FakeKiosk, browser: Browser) -> None:
    await show(kiosk, browser, catalogue(Rail.FREE))
    await choose(browser, "Masala Chips Free A1")
    await kiosk.stop()
    await choose(browser, "Take it for free")
    await browser.see("Still trying…")
    await browser.wait(61)
    await browser.see("We do not know whether your order arrived")
    await browser.keep_picture("stuck")
    await kiosk.start()
    await choose(browser, "Try again")
    await browser.see("One moment…")
    assert len(kiosk.orders) == 1


async def test_the_page_is_ready_for_the_next_customer_by_itself(kiosk: FakeKiosk, browser: Browser) -> None:
    await show(kiosk, browser, catalogue(Rail.FREE))
    await choose(browser, "Masala Chips Free A1", "Take it for free")
    await browser.see("One moment…")
    await end(kiosk, VendOutcome.DISPENSED)
    await browser.see("Take your product")
    await browser.wait(13)
    await choose(browser, "Dark Chocolate Free A3")
    await browser.see("Take it for free")
    await browser.wait(91)
    await browser.call("waitForSelector", "text=Take it for free", {"state": "detached"})


async def test_a_repeat_after_a_lost_answer_finds_the_first_order(kiosk: FakeKiosk, browser: Browser) -> None:
    """The request arrives, its answer does not: the same key asks again and gets the same order."""
    await show(kiosk, browser, catalogue(Rail.FREE))
    kiosk.lost_answers = 2
    await choose(browser, "Masala Chips Free A1", "Take it for free")
    await browser.see("Still trying…")
    await browser.see("One moment…")
    assert len(kiosk.orders) == 1
    assert kiosk.lost_answers == 0


async def test_out_of_service_and_several_machines(kiosk: FakeKiosk, browser: Browser) -> None:
    resting = catalogue(Rail.CASH, in_service=False, name="Canteen")
    kiosk.catalogues = {shown.machine_id: shown for shown in (catalogue(Rail.FREE), resting)}
    await browser.open(kiosk.url)
    await browser.see("Which machine are you at?")
    await browser.keep_picture("picker")
    await browser.tap("text=Canteen")
    await browser.see("Out of service")
    await browser.call("goBack")
    await browser.see("Which machine are you at?")
    await browser.call("goto", f"{kiosk.url}/machines/{uuid4()}")
    await browser.see("There is no such machine here")


async def test_the_keyboard_is_enough(kiosk: FakeKiosk, browser: Browser) -> None:
    await show(kiosk, browser, catalogue(Rail.FREE))
    for key in ("Tab", "Enter", "Tab", "Tab", "Enter"):  # the first product, its stepper's "one more"
        await browser.press(key)
    await browser.see("2 × Masala Chips")
    await browser.evaluate("document.querySelector('.basket .main').focus()")
    await browser.press("Enter")
    await browser.see("One moment…")
    await end(kiosk, VendOutcome.DISPENSED, VendOutcome.DISPENSED)
    await browser.see("Take your products")
    await browser.press("Tab")
    await browser.press("Enter")
    await browser.see("Lobby, ground floor")


VIEWS = [(360, 740), (1080, 1920), (1920, 1080)]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), VIEWS)
async def test_it_fits_and_can_be_read(kiosk: FakeKiosk, browser: Browser, width: int, height: int, theme: str) -> None:
    await show(kiosk, browser, catalogue(Rail.CASH, credit_minor=500), width, height, theme)
    await choose(browser, "Masala Chips ₹10 A1", "Mango Juice ₹20.50 A2")
    await look(browser, f"choice-{width}-{theme}")
    await choose(browser, "Buy for ₹30.50")
    await browser.see("Please insert")
    await look(browser, f"coins-{width}-{theme}")
    await kiosk.move_order(due_minor=0)
    await kiosk.move_vend(0, VendProgress.DONE, VendOutcome.DISPENSED)
    await kiosk.move_vend(1, VendProgress.STARTED)
    await browser.see("On its way")
    await look(browser, f"dispensing-{width}-{theme}")
    await end(kiosk, VendOutcome.DISPENSED, VendOutcome.AMBIGUOUS, given_back=2050)
    await browser.see("1 of 2 came out")
    await look(browser, f"ended-{width}-{theme}")


async def look(browser: Browser, name: str) -> None:
    """Keeps a picture and checks what a rule can: no sideways scrolling, targets of 44 px, contrast of WCAG AA."""
    await browser.keep_picture(name)
    assert await browser.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    assert await browser.evaluate(SMALL_TARGETS) == [], name
    assert await browser.evaluate(FAINT_TEXTS) == [], name


SMALL_TARGETS = """
[...document.querySelectorAll("button, a")].filter((target) => {
  const { width, height } = target.getBoundingClientRect();
  return width < 44 || height < 44;
}).map((target) => target.textContent)
"""

FAINT_TEXTS = """
(() => {
  const channels = (color) => color.match(/[0-9.]+/g).map(Number);
  const opaque = (color) => channels(color).length === 3 || channels(color)[3] === 1;
  const luminance = (color) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = channels(color).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return opaque(color) ? color : element.parentElement ? ground(element.parentElement) : "rgb(255, 255, 255)";
  };
  const contrast = (element) => {
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const texts = [...document.querySelectorAll("#page *")].filter((element) =>
    [...element.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim()));
  return texts.filter((element) => contrast(element) < 4.5).map((element) => element.textContent);
})()
"""


@pytest.mark.criterion("8.6")
async def test_what_was_too_warm_is_shown_and_cannot_be_chosen(kiosk: FakeKiosk, browser: Browser) -> None:
    shown = catalogue(Rail.CASH)
    warm = [slot.model_copy(update={"state": SlotState.LOCKED}) for slot in shown.slots[:2]]
    await show(kiosk, browser, shown.model_copy(update={"slots": (*warm, *shown.slots[2:])}))
    await browser.see("Was too warm")
    assert await browser.evaluate("[...document.querySelectorAll('button')].filter(b => !b.disabled).length") == 2
    await browser.keep_picture("kiosk-too-warm")
    assert not await browser.trouble()
