"""POST and GET /v1/devices/{id}/instructions."""

from datetime import UTC, datetime
from uuid import UUID

import structlog
from quart import Blueprint, Response, request

from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.upkeep import rules
from cloud.upkeep.service import InstructionRow, InstructionWish, instruct, instructions
from cloud.web import answer, as_id, cursor_instant, decode_cursor, encode_cursor, page_size, read_message
from shared.contract import Message
from shared.errors import Code

log = structlog.get_logger()


class InstructionPage(Message):
    """A page of what was asked of a device, the newest first."""

    instructions: tuple[InstructionRow, ...]
    next_cursor: str | None


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

    @operation(Permission.DEVICES_INSTRUCT)
    async def instruct(self, device_id: UUID) -> Response:
        """POST an InstructionWish with an Idempotency-Key; 201, or 200 if this key has asked for it before."""
        operator = current_operator()
        key = _idempotency_key()
        wish = await read_message(InstructionWish)
        wrong = rules.wrong_fields(wish.action, {"slot": wish.slot, "pin": wish.pin, "zone": wish.zone})
        if wrong:
            raise Refused(Code.VALIDATION_FAILED, "Some fields are wrong.", errors=wrong)

        async def work(transaction: Transaction) -> tuple[InstructionRow, bool]:
            return await instruct(transaction, operator, device_id, key, wish, self._keyring, self._clock.now())

        row, is_new = await self._database.unit("upkeep.instruct", work, caller=operator)
        log.info("device_instructed", request_id=str(row.request_id), device_id=str(device_id), action=row.action)
        return answer(row, 201 if is_new else 200)

    @operation(Permission.DEVICES_READ)
    async def list_instructions(self, device_id: UUID) -> Response:
        """GET ?limit=&cursor=."""
        operator = current_operator()
        limit, before = page_size(), (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=0))
        if "cursor" in request.args:
            asked_at, request_id = decode_cursor(request.args["cursor"], 2)
            before = (cursor_instant(asked_at), as_id("cursor", request_id))

        async def work(transaction: Transaction) -> list[InstructionRow]:
            return await instructions(transaction, device_id, before, limit + 1)

        rows = await self._database.unit("upkeep.instructions", work, caller=operator)
        shown = rows[:limit]
        last = shown[-1] if len(rows) > limit else None
        more = None if last is None else encode_cursor([last.asked_at.isoformat(), str(last.request_id)])
        return answer(InstructionPage(instructions=tuple(shown), next_cursor=more))


def _idempotency_key() -> UUID:
    given = request.headers.get("Idempotency-Key", "")
    try:
        return UUID(given)
    except ValueError:
        raise Refused(Code.IDEMPOTENCY_KEY_MISSING, "Send an Idempotency-Key header with a UUID.", status=400) from None
