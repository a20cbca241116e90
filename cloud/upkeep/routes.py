"""POST and GET /v1/devices/{id}/instructions, PUT and GET /v1/devices/{id}/settings."""

from datetime import UTC, datetime
from uuid import UUID

import structlog
from pydantic import JsonValue
from quart import Blueprint, Response, request

from cloud.auth.service import AuthService
from cloud.clock import Clock
from cloud.database import Database, Transaction
from cloud.errors import Refused
from cloud.upkeep import rules
from cloud.upkeep.assignment import DeviceSettings, assign_settings, settings_of
from cloud.upkeep.service import InstructionRow, InstructionWish, instruct, instructions
from cloud.upkeep.signing import SettingsSigner
from cloud.web import answer, as_id, bearer, decode_cursor, encode_cursor, invalid, page_size, read_message
from shared.contract import Message
from shared.errors import Code

log = structlog.get_logger()


class InstructionPage(Message):
    """A page of what was asked of a device, the newest first."""

    instructions: tuple[InstructionRow, ...]
    next_cursor: str | None


class PutSettings(Message):
    """What settings.json of the device shall say."""

    settings: dict[str, JsonValue]


class UpkeepRoutes:
    """What operators ask of single devices. Without a `signer` no settings are assigned."""

    def __init__(self, database: Database, auth: AuthService, clock: Clock, signer: SettingsSigner | None) -> None:
        self._database = database
        self._auth = auth
        self._clock = clock
        self._signer = signer

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("upkeep", __name__, url_prefix="/devices/<uuid:device_id>")
        routes.add_url_rule("/instructions", view_func=self.instruct, methods=["POST"])
        routes.add_url_rule("/instructions", view_func=self.list_instructions, methods=["GET"])
        routes.add_url_rule("/settings", view_func=self.put_settings, methods=["PUT"])
        routes.add_url_rule("/settings", view_func=self.show_settings, methods=["GET"])
        return routes

    async def instruct(self, device_id: UUID) -> Response:
        """POST an InstructionWish with an Idempotency-Key; 201, or 200 if this key has asked for it before."""
        operator = await self._auth.operator(bearer())
        key = _idempotency_key()
        wish = await read_message(InstructionWish)
        wrong = rules.wrong_fields(wish.action, {"slot": wish.slot, "pin": wish.pin, "zone": wish.zone})
        if wrong:
            raise Refused(Code.VALIDATION_FAILED, "Some fields are wrong.", errors=wrong)

        async def work(transaction: Transaction) -> tuple[InstructionRow, bool]:
            return await instruct(transaction, operator, device_id, key, wish, self._clock.now())

        row, is_new = await self._database.unit("upkeep.instruct", work, tenant_id=operator.tenant_id)
        log.info("device_instructed", request_id=str(row.request_id), device_id=str(device_id), action=row.action)
        return answer(row, 201 if is_new else 200)

    async def list_instructions(self, device_id: UUID) -> Response:
        """GET ?limit=&cursor=."""
        operator = await self._auth.operator(bearer())
        limit, before = page_size(), (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=0))
        if "cursor" in request.args:
            asked_at, request_id = decode_cursor(request.args["cursor"], 2)
            before = (_instant(asked_at), as_id("cursor", request_id))

        async def work(transaction: Transaction) -> list[InstructionRow]:
            return await instructions(transaction, device_id, before, limit + 1)

        rows = await self._database.unit("upkeep.instructions", work, tenant_id=operator.tenant_id)
        shown = rows[:limit]
        last = shown[-1] if len(rows) > limit else None
        more = None if last is None else encode_cursor([last.asked_at.isoformat(), str(last.request_id)])
        return answer(InstructionPage(instructions=tuple(shown), next_cursor=more))

    async def put_settings(self, device_id: UUID) -> Response:
        """PUT a PutSettings; 201, or 200 if the device shall run on just these already."""
        operator = await self._auth.operator(bearer())
        signer = self._signer
        if signer is None:
            raise Refused(
                Code.SETTINGS_KEY_MISSING,
                "This cloud has no key to sign settings with: LARDER_CLOUD_SETTINGS_KEY_FILE names none.",
                status=409,
            )
        text = rules.settings_text((await read_message(PutSettings)).settings)

        async def work(transaction: Transaction) -> tuple[bool, DeviceSettings]:
            is_new = await assign_settings(transaction, operator, device_id, text, signer, self._clock.now())
            return is_new, await settings_of(transaction, device_id)

        is_new, shown = await self._database.unit("upkeep.settings", work, tenant_id=operator.tenant_id)
        return answer(shown, 201 if is_new else 200)

    async def show_settings(self, device_id: UUID) -> Response:
        """GET what the device shall run on, and what it says it does."""
        operator = await self._auth.operator(bearer())

        async def work(transaction: Transaction) -> DeviceSettings:
            return await settings_of(transaction, device_id)

        return answer(await self._database.unit("upkeep.show", work, tenant_id=operator.tenant_id))


def _idempotency_key() -> UUID:
    given = request.headers.get("Idempotency-Key", "")
    try:
        return UUID(given)
    except ValueError:
        raise Refused(Code.IDEMPOTENCY_KEY_MISSING, "Send an Idempotency-Key header with a UUID.", status=400) from None


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid("cursor", "is not one of ours") from error
    if at.tzinfo is None or not 1 < at.year < 9999:
        raise invalid("cursor", "is not one of ours")
    return at
