"""What every step of a setup does: it is read, kept if nobody changed it meanwhile, and shown."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from quart import Response, redirect, request
from werkzeug.datastructures import ETags
from werkzeug.wrappers import Response as PlainResponse

from cloud import web
from cloud.clock import Clock
from cloud.conditional import Precondition, tag_of
from cloud.dashboard.forms import Form
from cloud.dashboard.setup_steps import LABELS, Step, bar, has_begun, path_of, problems_of
from cloud.dashboard.signed_in import SignedInPages
from cloud.database import Database, Work
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused
from cloud.operations import current_operator
from cloud.permissions import Permission
from cloud.setups.rules import SetupEdit, SetupRow, SetupState
from cloud.setups.service import SetupService
from shared.errors import Code

T = TypeVar("T")
Answer = Response | PlainResponse
SEEN = "seen"
"""The field with the tag of the setup that was on the page (cloud/conditional.py)."""
GO, BACK = "go", "back"


@dataclass(frozen=True)
class SetupDesk:
    """What the pages of setups share."""

    pages: SignedInPages
    database: Database
    setups: SetupService
    keyring: Keyring
    clock: Clock

    def now(self) -> datetime:
        """The time."""
        return self.clock.now()

    async def unit(self, work: Work[T]) -> T:
        """Work for who has signed in."""
        return await self.database.unit("dashboard.setups", work, caller=current_operator())

    async def one(self, setup_id: UUID) -> SetupRow:
        """A setup. Raises NotFound."""
        return await self.unit(partial(self.setups.one, setup_id=setup_id))

    async def keep(self, setup: SetupRow, form: Form, edit: SetupEdit) -> SetupRow:
        """A step as it shall be. Raises Refused, with 412 if the setup is no more what the form's page had shown."""
        edit = web.parse(SetupEdit, edit.model_dump_json(exclude_unset=True).encode())  # as if it had come by the API
        work = partial(
            self.setups.edit, operator=current_operator(), setup_id=setup.setup_id, edit=edit, expected=seen(form)
        )
        return await self.unit(work)

    async def show(
        self, template: str, setup: SetupRow, step: Step, form: Form, error: Refused | None = None, **context: Any
    ) -> Answer:
        """A step's page; of a finished setup, what came of it. With `error`: why the form was not taken."""
        if setup.state is SetupState.FINISHED:
            return redirect(path_of(setup.setup_id), 303)
        is_conflict = error is not None and error.code is Code.PRECONDITION_FAILED
        if error is not None and not is_conflict:
            form = form.answered(error)
        return await self.pages.show(
            template,
            status=200 if error is None else error.status,
            setup=setup,
            steps=bar(setup, step),
            step_name=LABELS[step],
            form=form,
            here=request.path,
            seen=tag_of(setup.model_dump_json()) if is_conflict else form.get(SEEN) or tag_of(setup.model_dump_json()),
            is_conflict=is_conflict,
            is_refused=error is not None and not is_conflict,
            may_write=may_write(),
            is_last=step is Step.REVIEW,
            is_first=step is Step.SITE,
            **context,
        )

    async def kept(
        self,
        setup: SetupRow,
        form: Form,
        edit_of: Callable[[], SetupEdit | None],
        lead_to: str,
        again: Callable[[SetupRow, Form, Refused], Awaitable[Answer]],
    ) -> Answer:
        """Keeps what the form says and leads on; `again` shows the form once more, with why it was not taken."""
        try:
            edit = edit_of()
            if edit is not None:
                await self.keep(setup, form, edit)
        except Refused as error:
            return await again(await self.one(setup.setup_id), form, error)
        return redirect(lead_to, 303)


def seen(form: Form) -> Precondition:
    """The state of the setup that the form's page had shown."""
    return Precondition(ETags(strong_etags=[form.get(SEEN)]))


def may_write() -> bool:
    """Whether who has signed in may change setups."""
    return Permission.SETUPS_WRITE in current_operator().permissions


def with_problems(form: Form, setup: SetupRow, step: Step, machine: int | None = None) -> Form:
    """The form with what is wrong with what is kept; nothing of a step not begun, unless that is asked for (?look=)."""
    if not has_begun(setup, step) and "look" not in request.args:
        return form
    return replace(form, errors=problems_of(setup, step, machine))
