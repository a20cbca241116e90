"""Setups: which are under way, how one is begun, thrown away and finished."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as PlainResponse

from cloud.dashboard.flash import lead
from cloud.dashboard.forms import Form, parsed, read_form
from cloud.dashboard.page import PAGE_ROWS, add_page, page_query
from cloud.dashboard.setup_desk import SetupDesk, may_write
from cloud.dashboard.setup_steps import HERE, Step, path_of
from cloud.errors import Refused
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.setups.rules import SetupState, SetupWish
from cloud.setups.service import SetupQuery
from cloud.web import invalid

ONE = f"{HERE}/<uuid:setup_id>"
READ, WRITE = Permission.SETUPS_READ, Permission.SETUPS_WRITE
_WRONG = {"name": "Give it a name, of 120 characters at most."}


class SetupPages:
    """What is done with setups as a whole."""

    def __init__(self, desk: SetupDesk) -> None:
        self._desk = desk

    def register(self, pages: Blueprint) -> None:
        """All of them."""
        add_page(pages, HERE, self.show)
        add_page(pages, f"{HERE}/new", self.show_new)
        add_page(pages, f"{HERE}/new", self.begin, "POST")
        add_page(pages, f"{ONE}/deletion", self.delete, "POST")

    @operation(READ)
    async def show(self) -> Response:
        """GET /setups?state=&cursor=: those that are open first, which is also what is shown where nothing is asked."""
        state = request.args.get("state", SetupState.OPEN)
        page = await self._desk.unit(partial(self._desk.setups.page, query=_query(state)))
        return await self._desk.pages.show(
            "setups.html",
            setups=page.setups,
            chosen=state,
            next_cursor=page.next_cursor,
            first_page="cursor" not in request.args,
            may_write=may_write(),
        )

    @operation(WRITE)
    async def show_new(self) -> Response:
        """GET /setups/new."""
        return await self._desk.pages.show("setup_new.html", form=Form())

    @operation(WRITE)
    async def begin(self) -> Response | PlainResponse:
        """POST /setups/new: on to its first step."""
        form = await read_form()
        try:
            wish = parsed(SetupWish, form, _WRONG)
            made = await self._desk.unit(partial(self._desk.setups.begin, operator=current_operator(), wish=wish))
        except Refused as error:
            return await self._desk.pages.show("setup_new.html", form=form.answered(error), status=error.status)
        return redirect(path_of(made.setup_id, Step.SITE), 303)

    @operation(WRITE)
    async def delete(self, setup_id: UUID) -> PlainResponse:
        """POST /setups/…/deletion."""
        try:
            work = partial(self._desk.setups.delete, operator=current_operator(), setup_id=setup_id)
            await self._desk.unit(work)
        except Refused as error:
            return lead(HERE, error.detail, "bad")
        return lead(HERE, "The setup is thrown away. Nothing was made of it.", "plain")


def _query(state: str) -> SetupQuery:
    """Raises Refused."""
    query = page_query(SetupQuery)
    if not state or state == "all":
        return query
    try:
        return SetupQuery(limit=PAGE_ROWS, cursor=query.cursor, state=SetupState(state))
    except ValueError:
        raise invalid("state", "is none of a setup") from None
