"""POST and GET /v1/devices/{id}/instructions."""

from functools import partial
from uuid import UUID

import structlog
from quart import Blueprint, Response

from cloud.clock import Clock
from cloud.database import Database
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused
from cloud.idempotency import idempotency_key
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.upkeep import rules
from cloud.upkeep.service import (
    InstructionPage,
    InstructionQuery,
    InstructionRow,
    InstructionWish,
    instruct,
    instruction_page,
)
from cloud.web import answer
from shared.errors import Code

log = structlog.get_logger()


class UpkeepRoutes:
    """What operators ask of single devices."""

    def __init__(self, database: Database, clock: Clock, keyring: Keyring) -> None:
        self._database = database
        self._clock = clock
        self._keyring = keyring

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("upkeep", __name__, url_prefix="/devices/<uuid:device_id>")
        routes.add_url_rule("/instructions", view_func=self.instruct, methods=["POST"])
        routes.add_url_rule("/instructions", view_func=self.list_instructions, methods=["GET"])
        return routes

    @operation(
        Permission.DEVICES_INSTRUCT,
        summary="Instruct a device",
        answers={201: InstructionRow, 200: InstructionRow},
        idempotent=True,
    )
    async def instruct(self, device_id: UUID, body: InstructionWish) -> Response:
        """Ask a device to restart, to turn one motor, or to let go of a zone that it has locked.

        200 if this key has asked for it before: with what has become of it since.
        """
        operator, key = current_operator(), idempotency_key()
        wrong = rules.wrong_fields(body.action, {"slot": body.slot, "pin": body.pin, "zone": body.zone})
        if wrong:
            raise Refused(Code.VALIDATION_FAILED, "Some fields are wrong.", errors=wrong)
        now = self._clock.now()
        work = partial(
            instruct, operator=operator, device_id=device_id, key=key, wish=body, keyring=self._keyring, now=now
        )
        row, is_new = await self._database.unit("upkeep.instruct", work, caller=operator)
        log.info("device_instructed", request_id=str(row.request_id), device_id=str(device_id), action=row.action)
        return answer(row, 201 if is_new else 200)

    @operation(Permission.DEVICES_READ, summary="List instructions of a device", answers={200: InstructionPage})
    async def list_instructions(self, device_id: UUID, query: InstructionQuery) -> Response:
        """What was asked of a device and what became of it, the newest first."""
        work = partial(instruction_page, device_id=device_id, query=query)
        page = await self._database.unit("upkeep.instructions", work, caller=current_operator())
        return answer_page(page, query)
