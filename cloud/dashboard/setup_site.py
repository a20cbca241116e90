"""The first steps of a setup: where the machines will stand, and their gateway and Wi-Fi."""

from functools import partial
from uuid import UUID

from quart import Blueprint, redirect

from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page
from cloud.dashboard.setup_desk import BACK, GO, Answer, SetupDesk, with_problems
from cloud.dashboard.setup_site_form import CURRENCIES, NEW, ZONES, gateway_edit, gateway_form, site_edit, site_form
from cloud.dashboard.setup_steps import HERE, Step, path_of
from cloud.dashboard.setups import ONE, READ, WRITE
from cloud.errors import NotFound, Refused
from cloud.onboarding import service as onboarding
from cloud.onboarding.rules import SiteRow
from cloud.onboarding.service import SiteQuery
from cloud.operations import operation
from cloud.setups.rules import SetupRow

MOST_SITES = 200
"""That are offered, by name."""


class SetupSitePages:
    """Site and gateway."""

    def __init__(self, desk: SetupDesk) -> None:
        self._desk = desk

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, f"{ONE}/site", self.show_site)
        add_page(pages, f"{ONE}/site", self.keep_site, "POST")
        add_page(pages, f"{ONE}/gateway", self.show_gateway)
        add_page(pages, f"{ONE}/gateway", self.keep_gateway, "POST")

    @operation(READ)
    async def show_site(self, setup_id: UUID) -> Answer:
        """GET /setups/…/site."""
        setup, known = await self._desk.one(setup_id), await self._sites()
        form = site_form(setup, known[0] if known else None)
        return await self._ask_site(setup, with_problems(form, setup, Step.SITE), known=known)

    @operation(WRITE)
    async def keep_site(self, setup_id: UUID) -> Answer:
        """POST /setups/…/site."""
        form, setup = await read_form(), await self._desk.one(setup_id)
        try:
            edit = site_edit(form)
            if edit is not None:
                after = await self._desk.keep(setup, form, edit)
                if currency := await self._pays_otherwise(setup, after):
                    told = f"Saved. Prices are in {currency} now: look at them again."
                    return lead(path_of(setup_id, Step.MACHINES), told, "plain")
        except Refused as error:
            return await self._ask_site(await self._desk.one(setup_id), form, error)
        return redirect(HERE if form.get(GO) == BACK else path_of(setup_id, Step.GATEWAY), 303)

    @operation(READ)
    async def show_gateway(self, setup_id: UUID) -> Answer:
        """GET /setups/…/gateway."""
        setup = await self._desk.one(setup_id)
        return await self._ask_gateway(setup, with_problems(gateway_form(setup), setup, Step.GATEWAY))

    @operation(WRITE)
    async def keep_gateway(self, setup_id: UUID) -> Answer:
        """POST /setups/…/gateway."""
        form, setup = await read_form(), await self._desk.one(setup_id)
        step = Step.SITE if form.get(GO) == BACK else Step.MACHINES
        edit = partial(gateway_edit, form, setup)
        return await self._desk.kept(setup, form, edit, path_of(setup_id, step), self._ask_gateway)

    async def _ask_site(
        self, setup: SetupRow, form: Form, error: Refused | None = None, known: tuple[SiteRow, ...] | None = None
    ) -> Answer:
        known = await self._sites() if known is None else known
        sites = [(str(site.site_id), f"{site.name} ({site.currency})") for site in known]
        options = [("", "Choose a site"), *sites] if sites else []
        return await self._desk.show(
            "setup_site.html",
            setup,
            Step.SITE,
            form,
            error,
            options=[*options, (NEW, "A new site")],
            currencies=CURRENCIES,
            zones=ZONES,
        )

    async def _ask_gateway(self, setup: SetupRow, form: Form, error: Refused | None = None) -> Answer:
        there = await gateway_at(self._desk, setup)
        return await self._desk.show("setup_gateway.html", setup, Step.GATEWAY, form, error, there=there)

    async def _sites(self) -> tuple[SiteRow, ...]:
        return (await self._desk.unit(partial(onboarding.site_page, query=SiteQuery(limit=MOST_SITES)))).sites

    async def _pays_otherwise(self, before: SetupRow, after: SetupRow) -> str | None:
        """The currency of prices that were in another one, or in none yet; None where none were."""
        has_prices = any(machine.outline.slots for machine in after.machines)
        now = await currency_of(self._desk, after)
        return now if has_prices and now != await currency_of(self._desk, before) else None


async def currency_of(desk: SetupDesk, setup: SetupRow) -> str | None:
    """Of the money where the machines will stand, once that is said."""
    if setup.site is not None and setup.site.new is not None:
        return setup.site.new.currency
    site = await site_of(desk, setup)
    return site.currency if site else None


async def site_of(desk: SetupDesk, setup: SetupRow) -> SiteRow | None:
    """The site there is that was chosen, or was made."""
    site_id = setup.site_id or (setup.site.site_id if setup.site else None)
    if site_id is None:
        return None
    try:
        return await desk.unit(lambda _: onboarding.site(site_id))
    except NotFound:
        return None


async def gateway_at(desk: SetupDesk, setup: SetupRow) -> str | None:
    """What the gateway is called that the machines will join; None if it is a new one."""
    site = await site_of(desk, setup)
    if site is None:
        return None
    return await desk.unit(partial(onboarding.gateway_name_of, site_id=site.site_id))
