"""GET /v1/devices."""

from functools import partial

from quart import Blueprint, Response

from cloud.database import Database
from cloud.devices.service import DevicePage, DeviceQuery, device_page
from cloud.lists import answer_page
from cloud.operations import current_operator, operation
from cloud.permissions import Permission


def blueprint(database: Database) -> Blueprint:
    """The device route."""
    routes = Blueprint("devices", __name__, url_prefix="/devices")

    @routes.get("")
    @operation(Permission.DEVICES_READ, summary="List devices", answers={200: DevicePage})
    async def list_devices(query: DeviceQuery) -> Response:
        """Each device with its newest health sample, its zones, and the firmware it runs and shall run."""
        work = partial(device_page, query=query)
        return answer_page(await database.unit("devices.list", work, caller=current_operator()), query)

    return routes
