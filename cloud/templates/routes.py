"""/v1/machine-templates: what machines may be made like."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.clock import Clock
from cloud.conditional import precondition
from cloud.database import Database
from cloud.encryption.keyring import Keyring
from cloud.idempotency import Once
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.templates import service
from cloud.templates.models import TemplatePage
from cloud.templates.rules import MachineOutline, TemplateEdit, TemplateRow, TemplateWish
from cloud.templates.service import TemplateQuery
from cloud.web import answer
from shared.errors import Code

READ, WRITE = Permission.SETUPS_READ, Permission.SETUPS_WRITE
MAX_OUTLINE_BYTES = 256 * 1024
_ALL, _ONE = "/machine-templates", "/machine-templates/<uuid:template_id>"


class TemplateRoutes:
    """What is done with templates."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, once: Once) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._once = once

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("templates", __name__)
        routes.add_url_rule("/machines/<uuid:machine_id>/outline", view_func=self.show_outline, methods=["GET"])
        routes.add_url_rule(_ALL, view_func=self.list_templates, methods=["GET"])
        routes.add_url_rule(_ALL, view_func=self.create_template, methods=["POST"])
        routes.add_url_rule(_ONE, view_func=self.show_template, methods=["GET"])
        routes.add_url_rule(_ONE, view_func=self.edit_template, methods=["PATCH"])
        routes.add_url_rule(_ONE, view_func=self.delete_template, methods=["DELETE"])
        return routes

    @operation(
        READ,
        summary="Show the outline of a machine",
        answers={200: MachineOutline},
        problems=(Code.CONFLICT,),
        conditional=True,
    )
    async def show_outline(self, machine_id: UUID) -> Response:
        """What it is made of now, to make others like it."""
        work = partial(service.outline_of, keyring=self._keyring, machine_id=machine_id)
        return answer(await self._database.unit("setups.outline", work, caller=current_operator()))

    @operation(READ, summary="List machine templates", answers={200: TemplatePage}, conditional=True)
    async def list_templates(self, query: TemplateQuery) -> Response:
        """What machines may be made like, by name."""
        work = partial(service.template_page, query=query)
        return answer_page(await self._database.unit("templates.list", work, caller=current_operator()), query)

    @operation(
        WRITE,
        summary="Create a machine template",
        answers={201: TemplateRow},
        problems=(Code.CONFLICT,),
        idempotent=True,
        body_limit=MAX_OUTLINE_BYTES,
    )
    async def create_template(self, body: TemplateWish) -> Response:
        """Of an outline, or of a machine that works."""
        operator, now = current_operator(), self._clock.now()
        work = partial(service.add_template, operator=operator, keyring=self._keyring, wish=body, now=now)
        return await self._once("templates.create", work, body)

    @operation(READ, summary="Show a machine template", answers={200: TemplateRow}, conditional=True)
    async def show_template(self, template_id: UUID) -> Response:
        """With its outline."""
        work = partial(service.template, template_id=template_id)
        return answer(await self._database.unit("templates.show", work, caller=current_operator()))

    @operation(
        WRITE,
        summary="Edit a machine template",
        answers={200: TemplateRow},
        problems=(Code.CONFLICT,),
        guarded=True,
        body_limit=MAX_OUTLINE_BYTES,
    )
    async def edit_template(self, template_id: UUID, body: TemplateEdit) -> Response:
        """Machines that were made by it stay as they are."""
        operator, expected = current_operator(), precondition()
        work = partial(service.edit_template, operator=operator, template_id=template_id, edit=body, expected=expected)
        return answer(await self._database.unit("templates.edit", work, caller=operator))

    @operation(WRITE, summary="Delete a machine template", answers={204: None})
    async def delete_template(self, template_id: UUID) -> Response:
        """Machines that were made by it stay as they are."""
        operator = current_operator()
        work = partial(service.delete_template, operator=operator, template_id=template_id)
        await self._database.unit("templates.delete", work, caller=operator)
        return Response(status=204)
