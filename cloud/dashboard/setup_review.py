"""The end of a setup: all of it in words, made at once, and what was made."""

from functools import partial
from uuid import UUID

from quart import Blueprint, redirect

from cloud.catalog import service as catalog
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page
from cloud.dashboard.setup_desk import Answer, SetupDesk, may_write, seen
from cloud.dashboard.setup_site import currency_of, gateway_at, site_of
from cloud.dashboard.setup_slots import Products
from cloud.dashboard.setup_steps import Step, next_step, path_of, troubles
from cloud.dashboard.setup_words import MachineWords, told_beside
from cloud.dashboard.setups import ONE, READ, WRITE
from cloud.database import Transaction
from cloud.errors import NotFound, Refused
from cloud.operations import current_operator, operation
from cloud.setups.rules import SetupRow, SetupState
from cloud.templates import service as templates
from cloud.templates.rules import MachineOutline
from shared.errors import Code


class SetupReviewPages:
    """A last look, and the end."""

    def __init__(self, desk: SetupDesk) -> None:
        self._desk = desk

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, ONE, self.show_one)
        add_page(pages, f"{ONE}/review", self.show)
        add_page(pages, f"{ONE}/finish", self.finish, "POST")

    @operation(READ)
    async def show_one(self, setup_id: UUID) -> Answer:
        """GET /setups/…: an open one goes on where it was left; of a finished one, what was made."""
        setup = await self._desk.one(setup_id)
        if setup.state is SetupState.OPEN:
            return redirect(path_of(setup_id, next_step(setup)))
        return await self._desk.pages.show(
            "setup_finished.html",
            setup=setup,
            site=await site_of(self._desk, setup),
            gateway=await gateway_at(self._desk, setup),
            machines=await self._words(setup),
            currency=await currency_of(self._desk, setup),
            may_write=may_write(),
        )

    @operation(READ)
    async def show(self, setup_id: UUID) -> Answer:
        """GET /setups/…/review."""
        return await self._ask(await self._desk.one(setup_id), Form())

    @operation(WRITE)
    async def finish(self, setup_id: UUID) -> Answer:
        """POST /setups/…/finish: all of it is made, or nothing and it is said what is missing."""
        form = await read_form()
        work = partial(self._desk.setups.finish, operator=current_operator(), setup_id=setup_id, expected=seen(form))
        try:
            await self._desk.unit(work)
        except Refused as error:
            setup = await self._desk.one(setup_id)
            is_late = error.code is Code.PRECONDITION_FAILED
            return await self._ask(setup, form, error if is_late else None)
        return lead(path_of(setup_id), "It is made.")

    async def _ask(self, setup: SetupRow, form: Form, error: Refused | None = None) -> Answer:
        return await self._desk.show(
            "setup_review.html",
            setup,
            Step.REVIEW,
            form,
            error,
            troubles=troubles(setup),
            there=await gateway_at(self._desk, setup),
            site=await site_of(self._desk, setup),
            machines=await self._words(setup),
            currency=await currency_of(self._desk, setup),
        )

    async def _words(self, setup: SetupRow) -> list[tuple[MachineWords, Products]]:
        currency = await currency_of(self._desk, setup) or ""

        async def work(transaction: Transaction) -> list[tuple[MachineWords, Products]]:
            found = []
            for machine in setup.machines:
                template = await _template(transaction, machine.template_id)
                products = await products_of(transaction, machine.outline, *([template[1]] if template else []))
                found.append((told_beside(machine, template, currency, products), products))
            return found

        return await self._desk.unit(work)


async def products_of(transaction: Transaction, *outlines: MachineOutline) -> Products:
    """Those that lie in their slots."""
    ids = {slot.product_id for outline in outlines for slot in outline.slots if slot.product_id}
    return Products(await catalog.product_names(transaction, ids, ()))


async def _template(transaction: Transaction, template_id: UUID | None) -> tuple[str, MachineOutline] | None:
    if template_id is None:
        return None
    try:
        found = await templates.template(transaction, template_id)
    except NotFound:  # deleted since
        return None
    return found.name, found.outline
