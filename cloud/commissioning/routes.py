"""The checklist of a setup, and the reports of its machines."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.commissioning.models import Checklist, Report, Reports, ReportWish
from cloud.commissioning.service import CommissioningService
from cloud.database import Database
from cloud.idempotency import Once
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer
from shared.errors import Code

MAX_WISH_BYTES = 2 * 1024 * 1024
"""A reason for each check of the largest setup."""


def blueprint(database: Database, commissioning: CommissioningService, once: Once) -> Blueprint:
    """All routes."""
    routes = Blueprint("commissioning", __name__)

    @routes.get("/setups/<uuid:setup_id>/checklist")
    @operation(
        Permission.SETUPS_READ,
        summary="Show the checklist of a setup",
        answers={200: Checklist},
        problems=(Code.CONFLICT,),
        conditional=True,
    )
    async def show_checklist(setup_id: UUID) -> Response:
        """What gateway and devices of a finished setup have shown so far, and what they still have to."""
        work = partial(commissioning.checklist, setup_id=setup_id)
        return answer(await database.unit("commissioning.checklist", work, caller=current_operator()))

    @routes.post("/setups/<uuid:setup_id>/reports")
    @operation(
        Permission.SETUPS_WRITE,
        summary="Make the commissioning reports of a setup",
        answers={201: Reports},
        problems=(Code.CONFLICT, Code.SETTINGS_KEY_MISSING),
        idempotent=True,
        body_limit=MAX_WISH_BYTES,
    )
    async def make_reports(setup_id: UUID, body: ReportWish) -> Response:
        """Once all checks have passed, or somebody answers for the others: signed, and kept with each machine."""
        work = partial(commissioning.report, operator=current_operator(), setup_id=setup_id, wish=body)
        return await once("commissioning.report", work, body)

    @routes.get("/machines/<uuid:machine_id>/commissioning-report")
    @operation(
        Permission.MACHINES_READ,
        summary="Show the commissioning report of a machine",
        answers={200: Report},
        conditional=True,
    )
    async def show_report(machine_id: UUID) -> Response:
        """What was seen when it went into service."""
        work = partial(commissioning.report_of, machine_id=machine_id)
        return answer(await database.unit("commissioning.show", work, caller=current_operator()))

    return routes
