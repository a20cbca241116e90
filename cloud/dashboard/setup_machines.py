"""The machines of a setup: added like a template, like a machine that works, or empty; then what is in their slots."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from pydantic import ValidationError
from quart import Blueprint, redirect
from werkzeug.wrappers import Response as PlainResponse

from cloud.catalog import service as catalog
from cloud.catalog.service import MachineQuery, ProductQuery
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page
from cloud.dashboard.setup_desk import BACK, GO, Answer, SetupDesk, seen, with_problems
from cloud.dashboard.setup_site import currency_of
from cloud.dashboard.setup_slots import (
    FIRST_DEVICE,
    MOST_BYTES,
    MOST_FIELDS,
    NEW,
    Products,
    Reading,
    rows_of,
    slots_form,
    slots_of,
)
from cloud.dashboard.setup_steps import Step, path_of, problems_of
from cloud.dashboard.setups import ONE, READ, WRITE
from cloud.dashboard.wording import digits_of
from cloud.database import Transaction
from cloud.errors import NotFound, Refused
from cloud.operations import current_operator, operation
from cloud.setups.rules import AddMachine, DraftMachine, MachineWish, SetupEdit, SetupRow
from cloud.templates import service as templates
from cloud.templates.rules import MachineOutline, OutlineDevice
from cloud.templates.service import TemplateQuery
from cloud.web import invalid
from shared.contract import Rail

MACHINE = f"{ONE}/machines/<uuid:machine_id>"
STAY = "stay"
RAILS = ((Rail.CASH, "Coins and notes"), (Rail.FREE, "Nothing: products are free"))
_MOST = 200
"""Of templates and machines that are offered to be like, by name; and of products at a time."""
_MOST_PRODUCTS = 1000
"""That are suggested. Any other is found by its name as it is written."""
_ADDED = {f"capacity-{NEW}": ["10"], f"par-{NEW}": ["3"], f"opening-{NEW}": ["0"]}


@dataclass(frozen=True)
class MachineSeen:
    """A machine of a setup, and its place there."""

    setup: SetupRow
    place: int

    @property
    def machine(self) -> DraftMachine:
        """Itself."""
        return self.setup.machines[self.place]

    def edit(self, name: str, outline: MachineOutline) -> SetupEdit:
        """The setup with this one as it shall be."""
        wishes = list(wishes_of(self.setup.machines))
        wishes[self.place] = MachineWish(machine_id=self.machine.machine_id, name=name, outline=outline)
        return SetupEdit(machines=tuple(wishes))

    def after(self, step: Step, last: Step, *, back: bool) -> str:
        """Where the way leads on to: the next machine's page of `step`, after the last one the step `last`."""
        here, machines = path_of(self.setup.setup_id, step), self.setup.machines
        if back:
            return here if step is Step.MACHINES else path_of(self.setup.setup_id, Step.MACHINES)
        if self.place + 1 < len(machines):
            return f"{here}/{machines[self.place + 1].machine_id}"
        return path_of(self.setup.setup_id, last)


def wishes_of(machines: Iterable[DraftMachine]) -> tuple[MachineWish, ...]:
    """The machines as they are."""
    return tuple(MachineWish(machine_id=one.machine_id, name=one.name, outline=one.outline) for one in machines)


def seen_machine(setup: SetupRow, machine_id: UUID) -> MachineSeen:
    """One machine of a setup. Raises NotFound."""
    for place, machine in enumerate(setup.machines):
        if machine.machine_id == machine_id:
            return MachineSeen(setup, place)
    raise NotFound


class SetupMachinePages:
    """Machines and their slots."""

    def __init__(self, desk: SetupDesk) -> None:
        self._desk = desk

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, f"{ONE}/machines", self.show)
        add_page(pages, f"{ONE}/machines", self.add, "POST")
        add_page(pages, MACHINE, self.show_machine)
        add_page(pages, MACHINE, self.keep_machine, "POST")
        add_page(pages, f"{MACHINE}/removal", self.remove, "POST")

    @operation(READ)
    async def show(self, setup_id: UUID) -> Answer:
        """GET /setups/…/machines: those there are, and a form for one more."""
        setup = await self._desk.one(setup_id)
        return await self._ask(setup, with_problems(Form(), setup, Step.MACHINES))

    @operation(WRITE)
    async def add(self, setup_id: UUID) -> Answer:
        """POST /setups/…/machines: on to what is in it."""
        form, setup = await read_form(), await self._desk.one(setup_id)
        try:
            after = await self._add(setup, form)
        except Refused as error:
            return await self._ask(await self._desk.one(setup_id), form, error)
        return redirect(f"{path_of(setup_id, Step.MACHINES)}/{after.machines[-1].machine_id}", 303)

    @operation(WRITE)
    async def remove(self, setup_id: UUID, machine_id: UUID) -> PlainResponse:
        """POST /setups/…/machines/…/removal."""
        form, setup = await read_form(), await self._desk.one(setup_id)
        left = [machine for machine in setup.machines if machine.machine_id != machine_id]
        try:
            await self._desk.keep(setup, form, SetupEdit(machines=wishes_of(left)))
        except Refused as error:
            return lead(path_of(setup_id, Step.MACHINES), error.detail, "bad")
        return lead(path_of(setup_id, Step.MACHINES), "The machine is out of this setup.", "plain")

    @operation(READ)
    async def show_machine(self, setup_id: UUID, machine_id: UUID) -> Answer:
        """GET /setups/…/machines/…: its name, how it is paid, its slots."""
        one = seen_machine(await self._desk.one(setup_id), machine_id)
        reading = await self._reading(one, Form())
        form = slots_form(one.machine.outline, reading)
        form.values.update({"name": [one.machine.name], "rail": [str(one.machine.outline.rail)], **_ADDED})
        return await self._ask_machine(one, reading, with_problems(form, one.setup, Step.MACHINES, one.place))

    @operation(WRITE)
    async def keep_machine(self, setup_id: UUID, machine_id: UUID) -> Answer:
        """POST /setups/…/machines/…: all rows, with those that are added; when something is wrong, all as typed."""
        form = await read_form(most_fields=MOST_FIELDS, limit=MOST_BYTES)
        one = seen_machine(await self._desk.one(setup_id), machine_id)
        reading = await self._reading(one, form)
        try:
            await self._desk.keep(one.setup, form, _edit(one, form, reading))
        except Refused as error:
            return await self._ask_machine(one, reading, form, error)
        if form.get(GO) == STAY:
            return redirect(f"{path_of(setup_id, Step.MACHINES)}/{machine_id}#slots", 303)
        return redirect(one.after(Step.MACHINES, Step.DEVICES, back=form.get(GO) == BACK), 303)

    async def _add(self, setup: SetupRow, form: Form) -> SetupRow:
        name, like = form.get("name").strip(), form.get("like")
        if not 1 <= len(name) <= 120:
            raise invalid("name", "Give the machine a name, of 120 characters at most.")
        if not like:
            outline = MachineOutline(rail=Rail.CASH, devices=(OutlineDevice(name=FIRST_DEVICE),))
            wishes = (*wishes_of(setup.machines), MachineWish(name=name, outline=outline))
            try:
                edit = SetupEdit(machines=wishes)
            except ValidationError:
                raise invalid("name", "No more machines fit into one setup.") from None
            return await self._desk.keep(setup, form, edit)
        wish = AddMachine(name=name, **_to_be_like(like))
        try:
            work = partial(self._desk.setups.add_machine, operator=current_operator(), setup_id=setup.setup_id)
            return await self._desk.unit(partial(work, wish=wish, expected=seen(form)))
        except NotFound:
            raise invalid("like", "This is gone. Choose another one.") from None

    async def _ask(self, setup: SetupRow, form: Form, error: Refused | None = None) -> Answer:
        async def work(transaction: Transaction) -> list[tuple[str, str]]:
            found = await templates.template_page(transaction, TemplateQuery(limit=_MOST))
            machines = await catalog.machine_page(transaction, MachineQuery(limit=_MOST))
            return [
                ("", "No other: begin empty"),
                *((f"template:{one.template_id}", f"Template: {one.name}") for one in found.templates),
                *((f"machine:{one.machine_id}", f"Machine: {one.name}") for one in machines.machines),
            ]

        places = range(len(setup.machines))
        wrong = {place for place in places if problems_of(setup, Step.MACHINES, place)}
        options = await self._desk.unit(work)
        return await self._desk.show(
            "setup_machines.html", setup, Step.MACHINES, form, error, options=options, wrong=wrong, rails=dict(RAILS)
        )

    async def _ask_machine(
        self, one: MachineSeen, reading: Reading, form: Form, error: Refused | None = None
    ) -> Answer:
        setup = one.setup if error is None else await self._desk.one(one.setup.setup_id)
        return await self._desk.show(
            "setup_machine.html",
            setup,
            Step.MACHINES,
            form,
            error,
            machine=one.machine,
            rows=rows_of(form),
            rails=RAILS,
            products=sorted(reading.products.names.values()),
            devices=reading.devices,
            currency=await currency_of(self._desk, setup),
        )

    async def _reading(self, one: MachineSeen, form: Form) -> Reading:
        """With the products that are suggested, and those that are named by rows."""
        outline = one.machine.outline
        ids = {slot.product_id for slot in outline.slots if slot.product_id}
        names = {text.strip() for name, (text, *_) in form.values.items() if name.startswith("product-")}

        async def work(transaction: Transaction) -> dict[UUID, str]:
            found = await catalog.product_names(transaction, ids, names)
            query: ProductQuery | None = ProductQuery(limit=_MOST)
            while query is not None and len(found) < _MOST_PRODUCTS:
                page = await catalog.product_page(transaction, query)
                found |= {product.product_id: product.name for product in page.products}
                query = ProductQuery(limit=_MOST, cursor=page.next_cursor) if page.next_cursor else None
            return found

        products = Products(await self._desk.unit(work))
        currency = await currency_of(self._desk, one.setup)
        return Reading(digits_of(currency or ""), products, tuple(device.name for device in outline.devices))


def _edit(one: MachineSeen, form: Form, reading: Reading) -> SetupEdit:
    """What the form says. Raises Refused."""
    name, rail = form.get("name").strip(), form.get("rail")
    if not 1 <= len(name) <= 120:
        raise invalid("name", "Give the machine a name, of 120 characters at most.")
    if rail not in set(Rail):
        raise invalid("rail", "Say how people pay.")
    changed = {"rail": Rail(rail), "slots": slots_of(form, reading)}
    return one.edit(name, one.machine.outline.model_copy(update=changed))


def _to_be_like(like: str) -> dict[str, UUID]:
    """Raises Refused."""
    kind, _, text = like.partition(":")
    try:
        return {{"template": "template_id", "machine": "machine_id"}[kind]: UUID(text)}
    except (KeyError, ValueError):
        raise invalid("like", "Choose a template, a machine, or nothing.") from None
