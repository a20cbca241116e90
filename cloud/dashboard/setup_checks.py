"""The checklist of a finished setup, as the site shows it, and the report that ends it."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response
from werkzeug.wrappers import Response as PlainResponse

from cloud.commissioning.rules import CheckKind, CheckState
from cloud.commissioning.service import CommissioningService
from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, read_form
from cloud.dashboard.orders import EVENTS
from cloud.dashboard.page import add_page
from cloud.dashboard.setup_desk import SetupDesk, may_write
from cloud.dashboard.setup_steps import HERE, path_of
from cloud.errors import Refused
from cloud.operations import current_operator, operation
from cloud.permissions import Permission

CHECKS = f"{HERE}/<uuid:setup_id>/checks"
WORDS = {
    CheckKind.GATEWAY_CLAIMED: "Gateway has come in",
    CheckKind.GATEWAY_TIME: "Gateway’s clock",
    CheckKind.SYNC_EQUAL: "Both sides equal",
    CheckKind.DEVICE_CLAIMED: "Device has come in",
    CheckKind.DEVICE_LINK: "Device’s link",
    CheckKind.TEST_VEND: "Test vend",
    CheckKind.CASH: "Coins are counted",
}
BADGES = {
    CheckState.PASSED: ("passed", "good"),
    CheckState.FAILED: ("failed", "bad"),
    CheckState.WAITING: ("waiting", ""),
}


class SetupCheckPages:
    """What is done with checklists."""

    def __init__(self, desk: SetupDesk, commissioning: CommissioningService) -> None:
        self._desk = desk
        self._commissioning = commissioning

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, CHECKS, self.show)
        add_page(pages, CHECKS, self.report, "POST")

    @operation(Permission.SETUPS_READ)
    async def show(self, setup_id: UUID) -> Response | PlainResponse:
        """GET /setups/…/checks."""
        setup = await self._desk.one(setup_id)
        if setup.finished_at is None:
            return lead(path_of(setup_id), "Finish the setup first: there is nothing to check yet.", "bad")
        return await self._page(setup_id, Form())

    @operation(Permission.SETUPS_WRITE)
    async def report(self, setup_id: UUID) -> Response | PlainResponse:
        """POST /setups/…/checks: with one reason for all that has not passed."""
        form, operator = await read_form(), current_operator()
        reason = form.get("reason").strip()
        work = partial(self._commissioning.report_anyway, operator=operator, setup_id=setup_id, reason=reason)
        try:
            await self._desk.unit(work)
        except Refused as error:
            return await self._page(setup_id, form.answered(error), error.status)
        return lead(f"{path_of(setup_id)}/checks", "The report is signed, and kept with each machine.")

    async def _page(self, setup_id: UUID, form: Form, status: int = 200) -> Response:
        setup = await self._desk.one(setup_id)
        found = await self._desk.unit(partial(self._commissioning.checklist, setup_id=setup_id))
        return await self._desk.pages.show(
            "setup_checks.html",
            status=status,
            setup=setup,
            found=found,
            words=WORDS,
            badges=BADGES,
            form=form,
            stream=EVENTS,
            is_complete=found.passed == len(found.checks),
            may_write=may_write(),
        )
