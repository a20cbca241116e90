"""/v1/setups: machines on their way into service."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.conditional import precondition
from cloud.database import Database
from cloud.idempotency import Once
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.setups.models import SetupPage
from cloud.setups.rules import AddMachine, SetupEdit, SetupRow, SetupWish
from cloud.setups.service import SetupQuery, SetupService
from cloud.web import answer
from shared.errors import Code

READ, WRITE = Permission.SETUPS_READ, Permission.SETUPS_WRITE
MAX_EDIT_BYTES = 2 * 1024 * 1024
"""Twelve machines with all slots there can be."""
_SETUPS, _SETUP = "/setups", "/setups/<uuid:setup_id>"


class SetupRoutes:
    """What is done with setups."""

    def __init__(self, database: Database, setups: SetupService, once: Once) -> None:
        self._database = database
        self._setups = setups
        self._once = once

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("setups", __name__)
        routes.add_url_rule(_SETUPS, view_func=self.list_setups, methods=["GET"])
        routes.add_url_rule(_SETUPS, view_func=self.begin_setup, methods=["POST"])
        routes.add_url_rule(_SETUP, view_func=self.show_setup, methods=["GET"])
        routes.add_url_rule(_SETUP, view_func=self.edit_setup, methods=["PATCH"])
        routes.add_url_rule(_SETUP, view_func=self.delete_setup, methods=["DELETE"])
        routes.add_url_rule(f"{_SETUP}/machines", view_func=self.add_machine, methods=["POST"])
        routes.add_url_rule(f"{_SETUP}/finish", view_func=self.finish_setup, methods=["POST"])
        return routes

    @operation(READ, summary="List setups", answers={200: SetupPage}, conditional=True)
    async def list_setups(self, query: SetupQuery) -> Response:
        """Machines on their way into service, and those that have come, the newest first."""
        work = partial(self._setups.page, query=query)
        return answer_page(await self._database.unit("setups.list", work, caller=current_operator()), query)

    @operation(WRITE, summary="Begin a setup", answers={201: SetupRow}, problems=(Code.CONFLICT,), idempotent=True)
    async def begin_setup(self, body: SetupWish) -> Response:
        """Nothing is made before it is finished, and nothing that was entered is lost."""
        work = partial(self._setups.begin, operator=current_operator(), wish=body)
        return await self._once("setups.begin", work, body)

    @operation(READ, summary="Show a setup", answers={200: SetupRow}, conditional=True)
    async def show_setup(self, setup_id: UUID) -> Response:
        """All it has gathered, and what is still missing."""
        work = partial(self._setups.one, setup_id=setup_id)
        return answer(await self._database.unit("setups.show", work, caller=current_operator()))

    @operation(
        WRITE,
        summary="Edit a setup",
        answers={200: SetupRow},
        problems=(Code.CONFLICT,),
        guarded=True,
        body_limit=MAX_EDIT_BYTES,
    )
    async def edit_setup(self, setup_id: UUID, body: SetupEdit) -> Response:
        """Any of its steps, in any order."""
        operator, expected = current_operator(), precondition()
        work = partial(self._setups.edit, operator=operator, setup_id=setup_id, edit=body, expected=expected)
        return answer(await self._database.unit("setups.edit", work, caller=operator))

    @operation(WRITE, summary="Delete a setup", answers={204: None}, problems=(Code.CONFLICT,))
    async def delete_setup(self, setup_id: UUID) -> Response:
        """One that is not finished."""
        operator = current_operator()
        work = partial(self._setups.delete, operator=operator, setup_id=setup_id)
        await self._database.unit("setups.delete", work, caller=operator)
        return Response(status=204)

    @operation(
        WRITE,
        summary="Add a machine to a setup",
        answers={201: SetupRow},
        problems=(Code.CONFLICT,),
        idempotent=True,
        guarded=True,
    )
    async def add_machine(self, setup_id: UUID, body: AddMachine) -> Response:
        """Like a template, like a machine that works, or an empty one."""
        operator, expected = current_operator(), precondition()
        work = partial(self._setups.add_machine, operator=operator, setup_id=setup_id, wish=body, expected=expected)
        return await self._once("setups.add_machine", work, body)

    @operation(WRITE, summary="Finish a setup", answers={200: SetupRow}, guarded=True)
    async def finish_setup(self, setup_id: UUID) -> Response:
        """Makes site, gateway, machines, devices, products, planograms and opening stock: all or nothing, and once."""
        operator, expected = current_operator(), precondition()
        work = partial(self._setups.finish, operator=operator, setup_id=setup_id, expected=expected)
        return answer(await self._database.unit("setups.finish", work, caller=operator))
