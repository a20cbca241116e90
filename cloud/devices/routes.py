"""GET /v1/devices."""

from uuid import UUID

from quart import Blueprint, Response, request

from cloud.database import Database, Transaction
from cloud.devices.service import DeviceRow, devices
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer, as_id, decode_cursor, encode_cursor, page_size
from shared.contract import Message


class DevicePage(Message):
    """A page of devices by id."""

    devices: tuple[DeviceRow, ...]
    next_cursor: str | None


def blueprint(database: Database) -> Blueprint:
    """The device route."""
    routes = Blueprint("devices", __name__, url_prefix="/devices")

    @routes.get("")
    @operation(Permission.DEVICES_READ)
    async def list_devices() -> Response:
        operator = current_operator()
        limit, after = page_size(), UUID(int=0)
        if "cursor" in request.args:
            after = as_id("cursor", decode_cursor(request.args["cursor"], 1)[0])

        async def work(transaction: Transaction) -> list[DeviceRow]:
            return await devices(transaction, after, limit + 1)

        rows = await database.unit("devices.list", work, caller=operator)
        shown = rows[:limit]
        more = encode_cursor([str(shown[-1].device_id)]) if len(rows) > limit else None
        return answer(DevicePage(devices=tuple(shown), next_cursor=more))

    return routes
