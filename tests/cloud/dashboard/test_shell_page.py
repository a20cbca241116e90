"""The shell and its components in a real browser: by keyboard, by touch, in both themes and at two widths."""

import gzip
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cloud.dashboard.assets import FOLDER
from tests.fakes.browser import Browser, chromium
from tests.fakes.gallery_app import Gallery, running_gallery

pytestmark = pytest.mark.asyncio(loop_scope="module")

NARROW, WIDE = 360, 1280
THEMES = ("light", "dark")
TOO_SMALL = """
[...document.querySelectorAll("button, a, input:not([type=hidden]), select")]
    .filter((one) => one.checkVisibility({visibilityProperty: true}) && !one.matches(".skip, td a, .summary a, p a"))
    .map((one) => one.closest("label") ?? one)
    .filter((one) => one.getBoundingClientRect().height < 44 && one.getBoundingClientRect().right > 0)
    .map((one) => one.outerHTML)
"""
PRESS_TWICE = """
const button = document.querySelector("[data-working^=Invit]");
let sent = 0;
addEventListener("submit", (event) => (sent += event.defaultPrevented ? 0 : 1));
button.click();
button.click();
[button.textContent, button.form.ariaBusy, sent];
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gallery() -> AsyncIterator[tuple[Gallery, str]]:
    async with running_gallery() as running:
        yield running


@pytest.fixture
def url(gallery: tuple[Gallery, str]) -> str:
    return gallery[1]


@pytest.mark.parametrize(
    ("path", "width", "theme"),
    [
        *((path, width, theme) for path in ("/gallery", "/tables") for width in (NARROW, WIDE) for theme in THEMES),
        ("/login", NARROW, "light"),
        ("/login", WIDE, "dark"),
    ],
)
async def test_nobody_is_shut_out(browser: Browser, url: str, path: str, width: int, theme: str) -> None:
    await browser.open(url + path, width=width, theme=theme)
    assert await browser.barriers() == []
    assert await browser.evaluate("document.documentElement.scrollWidth") == width
    assert await browser.evaluate(TOO_SMALL) == []
    assert await browser.trouble() == []


@pytest.mark.parametrize("theme", THEMES)
async def test_what_opens_shuts_nobody_out(browser: Browser, url: str, theme: str) -> None:
    await browser.open(url + "/gallery", theme=theme)
    for opened, closed in (
        ("#account-button", True),
        ("#tenants-button", True),
        ("role=button[name='Delete key']", False),
    ):
        await browser.tap(opened)
        assert await browser.barriers() == []
        if closed:
            await browser.press("Escape")
    await browser.open(url + "/gallery", width=NARROW, theme=theme)
    await browser.tap("role=button[name='Navigation']")
    assert await browser.barriers() == []


async def test_the_first_tab_skips_to_the_content(browser: Browser, url: str) -> None:
    await browser.open(url + "/tables")
    await browser.press("Tab")
    assert await browser.focused() == "Skip to content"
    await browser.press("Enter")
    assert await browser.focused() == "main"


async def test_single_keys_lead_where_their_list_says(browser: Browser, url: str) -> None:
    await browser.open(url + "/tables")
    await browser.press("/")
    assert await browser.focused() == "search"
    for key in ("g", "o"):
        await browser.press(key)
    assert await browser.evaluate("[location.pathname, document.activeElement.value]") == ["/tables", "go"]
    await browser.press("Enter")
    await browser.call("waitForURL", "**/search?q=go")
    for key in ("x", "g", "c"):
        await browser.press(key)
    await browser.call("waitForURL", "**/gallery")
    assert (
        await browser.evaluate("document.querySelector('#navigation [aria-current=page]').textContent") == "Components"
    )


async def test_a_g_is_forgotten_after_a_while(browser: Browser, url: str) -> None:
    await browser.open(url + "/tables")
    await browser.press("g")
    await browser.wait(2)
    await browser.press("c")
    assert await browser.evaluate("location.pathname") == "/tables"


async def test_a_dialog_keeps_the_focus_and_gives_it_back(browser: Browser, url: str) -> None:
    await browser.open(url + "/gallery")
    await browser.call("focus", "role=button[name='Delete key']")
    await browser.press("Enter")
    assert await browser.focused() == "Cancel"
    for _ in range(5):
        await browser.press("Tab")
        assert await browser.evaluate("document.activeElement.closest('main :is(.cards, .head)')") is None
    await browser.press("Escape")
    assert await browser.focused() == "Delete key"


async def test_shortcuts_are_listed_and_can_be_switched_off(browser: Browser, url: str) -> None:
    await browser.open(url + "/tables")
    await browser.press("?")
    await browser.see("Use these shortcuts in this browser")
    assert await browser.evaluate("document.querySelectorAll('#shortcuts dt').length") == 7
    await browser.tap("#shortcuts-on")
    await browser.press("Escape")
    for key in ("g", "c", "?"):
        await browser.press(key)
    assert await browser.evaluate("[location.pathname, document.querySelector('dialog[open]')]") == ["/tables", None]


async def test_a_menu_goes_by_its_arrows(browser: Browser, url: str) -> None:
    await browser.open(url + "/tables")
    await browser.call("focus", "#account-button")
    await browser.press("ArrowDown")
    seen = []
    for key in ("ArrowDown", "End", "ArrowDown", "ArrowUp", "Home", "k", "d"):
        seen.append(await browser.focused())
        await browser.press(key)
    assert seen == ["Sessions", "Second factor", "Sign out", "Sessions", "Sign out", "Sessions", "Keyboard shortcuts?"]
    assert await browser.focused() == "Dark"
    roles = "[...document.querySelectorAll('#account .item')].map((one) => one.role)"
    assert await browser.evaluate(roles) == ["menuitem"] * 2 + ["menuitemradio"] * 3 + ["menuitem"] * 2
    await browser.press("Escape")
    assert await browser.focused() == "account-button"
    await browser.press("ArrowUp")
    assert await browser.focused() == "Sign out"
    await browser.press("Tab")
    assert await browser.evaluate("document.querySelector(':popover-open')") is None


async def test_the_navigation_is_a_drawer_on_a_narrow_page(browser: Browser, url: str) -> None:
    await browser.open(url + "/tables", width=NARROW)
    seen = "document.querySelector('#navigation').checkVisibility()"
    assert await browser.evaluate(seen) is False
    await browser.call("focus", ".drawer-button")
    await browser.press("Enter")
    assert await browser.evaluate(seen) is True
    await browser.press("Escape")
    assert (await browser.evaluate(seen), await browser.focused()) == (False, "Navigation")
    await browser.open(url + "/tables", width=WIDE)
    assert await browser.evaluate(seen) is True


async def test_a_chosen_theme_is_there_from_the_first_paint_on(browser: Browser, url: str) -> None:
    await browser.open(url + "/tables", theme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = await browser.evaluate(ground)
    await browser.tap("#account-button")
    await browser.tap("role=menuitemradio[name='Dark']")
    dark = await browser.evaluate(ground)
    await browser.call("waitForLoadState", "networkidle")
    await browser.call("reload")
    assert light != dark == await browser.evaluate(ground)
    assert await browser.evaluate("document.documentElement.dataset.theme") == "dark"
    assert await browser.trouble() == []


async def test_what_is_wrong_is_said_at_the_field_and_nothing_typed_is_lost(browser: Browser, url: str) -> None:
    await browser.open(url + "/gallery")
    await browser.call("fill", "#email", "asha")
    await browser.call("selectOption", "#role", "viewer")
    await browser.call("fill", "#password", "not to come back")
    await browser.call("fill", "#code", "123 456")
    await browser.tap("role=button[name='Invite']")
    await browser.see("One thing needs your attention.")
    assert await browser.evaluate("document.activeElement.className") == "summary"
    values = "['email', 'role', 'password'].map((id) => document.getElementById(id).value)"
    assert await browser.evaluate(values) == ["asha", "viewer", ""]
    described = "document.querySelector('#email').ariaDescribedByElements.map((one) => one.textContent)"
    assert (await browser.evaluate(described))[0] == "Write the whole address, such as asha@example.com."
    await browser.tap("role=link[name='Write the whole address, such as asha@example.com.']")
    assert await browser.focused() == "email"
    assert await browser.barriers() == []


async def test_a_form_is_sent_once_and_its_answer_tells_what_it_did(
    browser: Browser, gallery: tuple[Gallery, str]
) -> None:
    shown, url = gallery
    await browser.open(url + "/gallery")
    before = shown.posts
    await browser.call("fill", "#email", "asha@example.com")
    told = await browser.evaluate(PRESS_TWICE)
    assert told == ["Inviting…", "true", 1]
    await browser.see("asha@example.com is invited.")
    assert shown.posts == before + 1
    assert await browser.evaluate("location.pathname") == "/tables"
    await browser.call("reload")
    await browser.wait(1)
    assert await browser.evaluate("document.querySelector('.toast')") is None


async def test_a_password_can_be_looked_at(browser: Browser, url: str) -> None:
    await browser.open(url + "/login")
    types = []
    for _ in range(2):
        types.append(await browser.evaluate("document.querySelector('#password').type"))
        await browser.tap("role=button[name='Show Password']")
    assert types == ["password", "text"]


async def test_a_secret_is_copied(browser: Browser, url: str) -> None:
    await browser.open(url + "/gallery")
    await browser.tap("role=button[name='Copy']")
    await browser.call("waitForSelector", ".toast")
    await browser.call("fill", "#note", "")
    await browser.wait(7)
    assert await browser.evaluate("document.querySelector('.toast')") is None


async def test_a_long_job_is_followed_to_its_end(browser: Browser, gallery: tuple[Gallery, str]) -> None:
    shown, url = gallery
    shown.polls, shown.is_away = 0, True
    await browser.open(url + "/gallery")
    await browser.see("Line 8 names no product of yours.")
    await browser.wait(2)
    await browser.see("The connection is lost. The job goes on.")
    shown.is_away = False
    for _ in range(3):
        await browser.wait(16)
    await browser.see("1,200 of 1,200 · 100 %")
    await browser.see("Done.")


async def test_all_of_it_works_without_script(browser: Browser, url: str) -> None:
    await browser.open(url + "/gallery", has_script=False)
    await browser.call("fill", "#email", "asha@example.com")
    await browser.call("click", "role=button[name='Invite']")
    await browser.see("asha@example.com is invited.")
    await browser.call("click", "#account-button")
    await browser.call("click", "#account >> text=Dark")
    await browser.call("waitForSelector", "html[data-theme=dark]")
    await browser.call("click", "role=link[name='Sales']")
    await browser.call("waitForSelector", "th[aria-sort=ascending] >> text=Sales")


async def test_sheets_of_paper_hold_the_list_alone(browser: Browser, url: str) -> None:
    await browser.open(url + "/tables")
    await browser.call("emulateMedia", {"media": "print"})
    seen = "['.bar', '#navigation', 'table'].map((one) => document.querySelector(one).checkVisibility())"
    assert await browser.evaluate(seen) == [False, False, True]


@pytest.mark.parametrize(("suffix", "most"), [("js", 40_000), ("css", 20_000)])
async def test_a_page_is_light(suffix: str, most: int) -> None:
    files = list(FOLDER.glob(f"*.{suffix}"))
    assert files
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) <= most
