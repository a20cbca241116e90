"""PUT and GET /v1/devices/{id}/settings."""

from functools import partial
from uuid import UUID

from pydantic import JsonValue
from quart import Blueprint, Response

from cloud.clock import Clock
from cloud.conditional import precondition
from cloud.configuration import rules
from cloud.configuration.service import DeviceSettings, SettingsSigner, assign_settings, settings_of
from cloud.database import Database, Transaction
from cloud.devices.service import locked_device
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused
from cloud.operations import current_operator, operation
from cloud.permissions import Permission
from cloud.web import answer
from shared.contract import Message
from shared.errors import Code


class PutSettings(Message):
    """What settings.json of the device shall say."""

    settings: dict[str, JsonValue]


class ConfigurationRoutes:
    """What operators do with settings of devices. Without a `signer` none are assigned."""

    def __init__(self, database: Database, clock: Clock, keyring: Keyring, signer: SettingsSigner | None) -> None:
        self._database = database
        self._clock = clock
        self._keyring = keyring
        self._signer = signer

    def blueprint(self) -> Blueprint:
        """All routes."""
        routes = Blueprint("configuration", __name__)
        path = "/devices/<uuid:device_id>/settings"
        routes.add_url_rule(path, view_func=self.put_settings, methods=["PUT"])
        routes.add_url_rule(path, view_func=self.show_settings, methods=["GET"])
        return routes

    @operation(
        Permission.DEVICES_CONFIGURE,
        summary="Assign settings to a device",
        answers={201: DeviceSettings, 200: DeviceSettings},
        problems=(Code.SETTINGS_KEY_MISSING,),
        guarded=True,
    )
    async def put_settings(self, device_id: UUID, body: PutSettings) -> Response:
        """Have a device run on these settings: checked as the device would, signed, and told to its gateway.

        200 if it shall run on just these already.
        """
        operator = current_operator()
        signer = self._signer
        if signer is None:
            raise Refused(
                Code.SETTINGS_KEY_MISSING,
                "This cloud has no key to sign settings with: LARDER_CLOUD_SETTINGS_KEY_FILE names none.",
                status=409,
            )
        text, expected = rules.settings_text(body.settings), precondition()

        async def work(transaction: Transaction) -> tuple[bool, DeviceSettings]:
            await locked_device(transaction, device_id)
            expected.require(await settings_of(transaction, self._keyring, device_id))
            is_new = await assign_settings(
                transaction, operator, device_id, text, signer, self._keyring, self._clock.now()
            )
            return is_new, await settings_of(transaction, self._keyring, device_id)

        is_new, shown = await self._database.unit("configuration.assign", work, caller=operator)
        return answer(shown, 201 if is_new else 200)

    @operation(
        Permission.DEVICES_READ, summary="Show settings of a device", answers={200: DeviceSettings}, conditional=True
    )
    async def show_settings(self, device_id: UUID) -> Response:
        """What a device shall run on, and what it says it does."""
        work = partial(settings_of, keyring=self._keyring, device_id=device_id)
        return answer(await self._database.unit("configuration.show", work, caller=current_operator()))
