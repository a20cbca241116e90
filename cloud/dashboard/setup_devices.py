"""The devices of a setup's machines, and how they are wired."""

from functools import partial
from uuid import UUID

from quart import Blueprint, redirect
from werkzeug.wrappers import Response as PlainResponse

from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.page import add_page
from cloud.dashboard.pin_maps import EXAMPLES
from cloud.dashboard.setup_desk import BACK, GO, Answer, SetupDesk, with_problems
from cloud.dashboard.setup_devices_form import MOST_BYTES, devices_form, has_example, outline_of, rows_of
from cloud.dashboard.setup_machines import STAY, MachineSeen, seen_machine
from cloud.dashboard.setup_steps import Step, path_of
from cloud.dashboard.setups import ONE, READ, WRITE
from cloud.errors import Refused
from cloud.operations import operation
from cloud.setups.rules import SetupEdit, SetupRow

MACHINE = f"{ONE}/devices/<uuid:machine_id>"


class SetupDevicePages:
    """Devices and pin maps, a machine at a time."""

    def __init__(self, desk: SetupDesk) -> None:
        self._desk = desk

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, f"{ONE}/devices", self.show)
        add_page(pages, MACHINE, self.show_machine)
        add_page(pages, MACHINE, self.keep_machine, "POST")

    @operation(READ)
    async def show(self, setup_id: UUID) -> PlainResponse:
        """GET /setups/…/devices: those of the first machine."""
        setup = await self._desk.one(setup_id)
        if not setup.machines:
            return lead(path_of(setup_id, Step.MACHINES), "Add a machine first.", "plain")
        return redirect(f"{path_of(setup_id, Step.DEVICES)}/{setup.machines[0].machine_id}", 303)

    @operation(READ)
    async def show_machine(self, setup_id: UUID, machine_id: UUID) -> Answer:
        """GET /setups/…/devices/…."""
        one = seen_machine(await self._desk.one(setup_id), machine_id)
        form = devices_form(one.machine.outline)
        return await self._ask(one, with_problems(form, one.setup, Step.DEVICES, one.place))

    @operation(WRITE)
    async def keep_machine(self, setup_id: UUID, machine_id: UUID) -> Answer:
        """POST /setups/…/devices/…. Who asked for an example is shown it."""
        form = await read_form(limit=MOST_BYTES)
        one = seen_machine(await self._desk.one(setup_id), machine_id)

        def edit() -> SetupEdit:
            return one.edit(one.machine.name, outline_of(form, one.machine.outline))

        async def again(setup: SetupRow, form: Form, error: Refused) -> Answer:
            return await self._ask(seen_machine(setup, machine_id), form, error)

        here = f"{path_of(setup_id, Step.DEVICES)}/{machine_id}"
        stays = form.get(GO) == STAY or has_example(form)
        onward = one.after(Step.DEVICES, Step.REVIEW, back=form.get(GO) == BACK)
        return await self._desk.kept(one.setup, form, edit, here if stays else onward, again)

    async def _ask(self, one: MachineSeen, form: Form, error: Refused | None = None) -> Answer:
        show = partial(self._desk.show, "setup_devices.html", one.setup, Step.DEVICES, form, error)
        examples = [("", "As it stands below"), *((example.key, example.label) for example in EXAMPLES)]
        return await show(machine=one.machine, place=one.place, rows=rows_of(form), examples=examples)
