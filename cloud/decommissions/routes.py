"""Machines out of service: begun, watched, called off."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.database import Database
from cloud.decommissions import service
from cloud.decommissions.models import DecommissionRow, DecommissionWish
from cloud.idempotency import Once
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer
from shared.errors import Code


def blueprint(database: Database, once: Once) -> Blueprint:
    """All routes."""
    routes = Blueprint("decommissions", __name__)

    @routes.post("/machines/<uuid:machine_id>/decommission")
    @operation(
        Permission.MACHINES_WRITE,
        summary="Begin to decommission a machine",
        answers={201: DecommissionRow},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def begin(machine_id: UUID, body: DecommissionWish) -> Response:
        """From when its gateway hears of it, the machine takes no new orders; those it has come to their end."""
        work = partial(service.begin, operator=current_operator(), machine_id=machine_id, wish=body)
        return await once("decommissions.begin", work, body)

    @routes.post("/machines/<uuid:machine_id>/decommission/call-off")
    @operation(
        Permission.MACHINES_WRITE,
        summary="Call off the decommissioning of a machine",
        answers={201: DecommissionRow},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def call_off(machine_id: UUID) -> Response:
        """The machine sells again, if it is in service."""
        work = partial(service.call_off, operator=current_operator(), machine_id=machine_id)
        return await once("decommissions.call_off", work)

    @routes.get("/machines/<uuid:machine_id>/decommission")
    @operation(
        Permission.MACHINES_READ,
        summary="Show the decommissioning of a machine",
        answers={200: DecommissionRow},
        conditional=True,
    )
    async def show(machine_id: UUID) -> Response:
        """The newest one, and what it still waits for."""
        work = partial(service.of_machine, machine_id=machine_id)
        return answer(await database.unit("decommissions.show", work, caller=current_operator()))

    return routes
