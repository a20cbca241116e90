"""How people come into a business and what they do there: from an owner's link to the audit log, in a browser."""

import pytest

from cloud.auth.first_people import FirstPeople
from cloud.clock import Clock
from shared.inventory import Reason
from shared.orders import VendOutcome
from tests.cloud.conftest import World
from tests.fakes.browser import Browser, chromium
from tests.fakes.cloud_people import PersonAtCloud

OLGA, TOMAS = "olga@larder.example", "tomas@larder.example"
PHRASE = "olga has a long pass phrase"


class Story:
    """A browser at the cloud, and what every page is asked."""

    def __init__(self, browser: Browser, url: str, world: World) -> None:
        self.browser = browser
        self.url = url
        self.world = world
        self.owner = PersonAtCloud(world.app, OLGA, PHRASE)

    async def whole(self, name: str, width: int = 1280, theme: str = "light") -> None:
        """Anybody can use the page as it stands, and the browser complains of nothing."""
        await self.browser.call("setViewportSize", {"width": width, "height": 800})
        await self.browser.call("emulateMedia", {"colorScheme": theme})
        # Colours that are on their way from one theme to the other have the contrast of neither.
        await self.browser.evaluate(
            "Promise.allSettled(document.getAnimations().map((one) => one.finished)).then(() => 0)"
        )
        assert await self.browser.barriers() == [], name
        assert await self.browser.evaluate("document.documentElement.scrollWidth") == width, name
        refused = "status of 422"  # a form that is shown once more; the browser tells of that, too
        assert [line for line in await self.browser.trouble() if refused not in line] == [], name
        await self.browser.keep_picture(f"{name}-{width}-{theme}")
        await self.browser.call("setViewportSize", {"width": 1280, "height": 800})

    async def sign_in(self, person: PersonAtCloud) -> None:
        await self.browser.call("fill", "#email", person.email)
        await self.browser.call("fill", "#password", person.password)
        await self.browser.press("Enter")

    async def press(self, name: str) -> None:
        await self.browser.tap(f"role=button[name='{name}']")

    async def owner_comes(self) -> None:
        """By the link of the terminal: a password, then the second factor that the role asks for."""
        people = FirstPeople(self.world.database, Clock(), self.url)
        await self.browser.open(await people.owner(self.world.tenant_id, OLGA, "Olga Owner"))
        await self.browser.call("fill", "#password", PHRASE)
        await self.whole("reset", 360, "dark")
        await self.browser.press("Enter")
        await self.browser.see("Your password is set.")
        await self.sign_in(self.owner)
        await self.browser.see("it needs a second factor before anything else")
        assert await self.browser.evaluate("document.querySelectorAll('#navigation a').length") == 0
        await self.whole("second-factor", 360)
        seed = await self.browser.evaluate("document.querySelector('#seed').value")
        self.owner.seed = seed.replace(" ", "")
        await self.browser.call("fill", "#code", self.owner.code())
        await self.browser.press("Enter")
        await self.browser.see("Your recovery codes")
        assert await self.browser.evaluate("document.querySelectorAll('.codes li').length") == 10
        await self.whole("recovery-codes", 360, "dark")
        await self.browser.tap("text=I have kept them")
        await self.browser.see("Snacks")

    async def owner_invites(self) -> None:
        """A technician, for one machine."""
        await self.browser.tap("#navigation >> text=Users and roles")
        await self.browser.tap("text=Invite somebody")
        await self.browser.call("fill", "#email", TOMAS)
        await self.browser.call("check", "[name=role][value=technician]")
        await self.browser.call("check", "[name=part][value=some]")
        await self.press("Invite")
        await self.browser.see("Choose at least one site or machine.")
        drinks = self.world.seeded.machines[1].machine_id
        await self.browser.call("check", f"[name=machines][value='{drinks}']")
        await self.press("Invite")
        await self.browser.see(f"{TOMAS} is invited.")
        await self.whole("users")

    async def technician_joins(self) -> None:
        """Without script, by the mailed link: they see their machine, and no page that is not theirs."""
        link = self.url + await self.world.mailbox.link(TOMAS)
        await self.browser.open(link, width=360, has_script=False)
        await self.browser.call("fill", "#name", "Tomas Technician")
        await self.browser.call("fill", "#password", "larder tomas")
        await self.browser.press("Enter")
        await self.browser.see("Is too close to your name, your address or ours.")
        await self.browser.call("fill", "#password", "tomas mends machines")
        await self.browser.press("Enter")
        await self.browser.see("Drinks")
        page = await self.browser.call("textContent", "body")
        assert "Snacks" not in page
        assert "Users and roles" not in page
        await self.browser.call("goto", self.url + "/users")
        await self.browser.see("You may not do this")
        await self.browser.call("goto", link)
        await self.browser.see("This link does not work any more")

    async def owner_decides(self) -> str:
        """Signed in again, back on the page that was asked for: another role, and a key, which is returned."""
        await self.browser.open(self.url + "/users")
        await self.sign_in(self.owner)
        await self.browser.see("Six digits of the app")
        await self.whole("login-code")
        await self.browser.call("fill", "#code", self.owner.code())
        await self.browser.press("Enter")
        await self.browser.tap("text=Tomas Technician")
        await self.browser.see("Only what is ticked here")
        await self.browser.call("check", "[name=role][value=operator]")
        await self.whole("user", 360, "dark")
        await self.press("Save")
        await self.browser.see("Tomas Technician is changed.")
        await self.browser.tap("#navigation >> text=API keys")
        await self.browser.tap("text=New key")
        await self.browser.call("fill", "#name", "Export to accounts")
        await self.browser.call("check", "[name=scopes][value='orders:read']")
        await self.whole("key-new", 360)
        await self.press("Make key")
        await self.browser.see("it is shown this once")
        await self.whole("key-made")
        return str(await self.browser.evaluate("document.querySelector('#secret').value"))

    async def owner_looks_back(self) -> None:
        """All of it is in the audit log; then they sign out everywhere else."""
        await self.browser.tap("text=I have kept it")
        await self.whole("keys", theme="dark")
        await self.browser.tap("#navigation >> text=Audit log")
        for words in ("User invited", "Invitation accepted", "Role changed", "API key created"):
            await self.browser.call("waitForSelector", f".table >> text={words}")
        await self.whole("audit", 360)
        await self.whole("audit", theme="dark")
        await self.browser.call("selectOption", "#action", "role_changed")
        await self.press("Filter")
        await self.browser.call("waitForURL", "**/audit?q=&action=role_changed&from=&to=")
        assert await self.browser.evaluate("document.querySelectorAll('tbody tr').length") == 1
        await self.browser.call("goto", self.url + "/account")
        await self.whole("account", 360)
        await self.press("Sign out everywhere else")
        await self.browser.see("Signed out everywhere else (1).")


async def sell(world: World) -> None:
    for machine, product in ((0, "A1"), (1, "A3")):
        slot = await world.slot(machine, product)
        world.gateway.move(slot, 10, Reason.OPENING)
        world.gateway.sell(slot, [VendOutcome.DISPENSED])
    await world.acknowledged()


@pytest.mark.criterion("1.4")
async def test_a_business_fills_with_people(world: World, url: str) -> None:
    await sell(world)
    async with chromium() as browser:
        story = Story(browser, url, world)
        await story.owner_comes()
        await story.owner_invites()
        await story.technician_joins()
        key = await story.owner_decides()
        bearer = {"Authorization": f"Bearer {key}"}
        assert (await world.client.get("/v1/orders", headers=bearer)).status_code == 200
        assert (await world.client.get("/v1/users", headers=bearer)).status_code == 403
        await story.owner_looks_back()
