"""POST /v1/setups/{id}/sheet."""

from functools import partial
from uuid import UUID

from quart import Blueprint, Response

from cloud.idempotency import Once
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.sheets.rules import Sheet
from cloud.sheets.service import SheetService
from shared.errors import Code


def blueprint(sheets: SheetService, once: Once) -> Blueprint:
    """The route of sheets."""
    routes = Blueprint("sheets", __name__)

    @routes.post("/setups/<uuid:setup_id>/sheet")
    @operation(
        Permission.SETUPS_WRITE,
        summary="Make the sheet of a setup",
        answers={201: Sheet},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def make_sheet(setup_id: UUID) -> Response:
        """What a person takes to the site of a finished setup: codes that work once, within a day, and settings.

        It may be made as often as needed: the codes of the one before work no more, and what has come in needs none.
        """
        work = partial(sheets.make, operator=current_operator(), setup_id=setup_id)
        return await once("sheets.make", work)

    @routes.post("/setups/<uuid:setup_id>/bundle")
    @operation(
        Permission.SETUPS_WRITE,
        summary="Make the bundle of a setup",
        answers={201: Sheet},
        problems=(Code.CONFLICT,),
        idempotent=True,
    )
    async def make_bundle(setup_id: UUID) -> Response:
        """A sheet for a site without internet: with a file that its gateway sells from, and codes that live 30 days.

        The file has the site's state as it is now. Codes of sheets and bundles before it work no more.
        """
        work = partial(sheets.make_bundle, operator=current_operator(), setup_id=setup_id)
        return await once("sheets.make_bundle", work)

    return routes
