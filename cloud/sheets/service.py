"""Making sheets: fresh one-time codes, and for each wired device its settings, signed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth.service import GatewayPlace, gateway_place
from cloud.callers import Operator
from cloud.clock import Clock
from cloud.configuration.rules import settings_text
from cloud.configuration.service import SettingsSigner, assign_settings
from cloud.database import Transaction
from cloud.devices import service as devices
from cloud.encryption.keyring import Keyring
from cloud.onboarding import service as onboarding
from cloud.onboarding.rules import CLAIM_LIFE
from cloud.setups.rules import Draft, DraftMachine, device_settings
from cloud.setups.service import SetupService
from cloud.sheets.models import Sheet, SheetDevice, SheetGateway
from cloud.sheets.rules import claim_command, gateway_toml
from cloud.templates.rules import OutlineDevice
from shared.signed import setup_address

_CLAIMED = "SELECT id FROM devices WHERE id = ANY($1::uuid[]) AND claimed_at IS NOT NULL"
_NO_WIRING = "Its pin map is not known here: it gets its settings from whoever wires it, with this code."
_NO_CA = "Its gateway has not come in yet, and devices trust nobody else: let it in first, then make this sheet anew."
_NO_SIGNER = "This cloud has no key to sign settings with (LARDER_CLOUD_SETTINGS_KEY_FILE): sign them at a desk."


@dataclass(frozen=True)
class _Place:
    """Where the devices of a sheet are."""

    site_id: UUID
    currency: str
    gateway: GatewayPlace


class SheetService:
    """Makes sheets. `public_url` is where gateways reach this cloud; without a `signer` boards get no settings."""

    def __init__(
        self, setups: SetupService, signer: SettingsSigner | None, keyring: Keyring, clock: Clock, public_url: str
    ) -> None:
        self._setups = setups
        self._signer = signer
        self._keyring = keyring
        self._clock = clock
        self._public_url = public_url

    async def make(self, transaction: Transaction, operator: Operator, setup_id: UUID) -> Sheet:
        """Inside a unit of the operator's: fresh codes for all that has not come in yet; older ones stop working.

        Of two at once the later one's work: no fact of the site is taken meanwhile, so what is claimed is so on both.
        Raises NotFound, Refused (409) while the setup is open.
        """
        row, draft = await self._setups.finished(transaction, setup_id)
        assert row.site_id is not None  # noqa: S101  finished
        assert row.gateway_id is not None  # noqa: S101  finished
        now = self._clock.now()
        await onboarding.lock_gateways(transaction, [row.site_id])
        site = await onboarding.site(row.site_id)
        place = _Place(site.site_id, site.currency, await gateway_place(transaction, row.gateway_id))
        gateway = await self._gateway(transaction, operator, place.gateway, now)
        ids = [device_id for machine in draft.machines for device_id in machine.device_ids.values()]
        claimed = {found["id"] for found in await transaction.fetch(_CLAIMED, ids)}
        told = [
            await self._device(transaction, operator, place, draft, machine, device, claimed)
            for machine in draft.machines
            for device in machine.outline.devices
        ]
        await _audit(transaction, operator, setup_id, gateway, told)
        return Sheet(
            setup_id=setup_id,
            site_name=site.name,
            site_address=site.address,
            made_at=now,
            expires_at=now + CLAIM_LIFE,
            gateway=gateway,
            devices=tuple(told),
        )

    async def _gateway(
        self, transaction: Transaction, operator: Operator, gateway: GatewayPlace, now: datetime
    ) -> SheetGateway:
        code = None
        if not gateway.is_claimed:
            await onboarding.end_claim_codes(gateway.gateway_id, now)
            actor, tenant_id = operator.actor, operator.tenant_id
            code = await onboarding.issue_claim_code(transaction, actor, tenant_id, gateway.gateway_id, now)
        return SheetGateway(
            gateway_id=gateway.gateway_id,
            name=gateway.name,
            claimed=gateway.is_claimed,
            claim_code=code,
            command=code and claim_command(self._public_url, code),
            settings_toml=code and gateway_toml(self._public_url, code),
        )

    async def _device(
        self,
        transaction: Transaction,
        operator: Operator,
        place: _Place,
        draft: Draft,
        machine: DraftMachine,
        device: OutlineDevice,
        claimed: set[UUID],
    ) -> SheetDevice:
        device_id = machine.device_ids[device.name]
        sheet = SheetDevice(
            device_id=device_id,
            machine_name=machine.name,
            name=device.name,
            claimed=device_id in claimed,
            claim_code=None,
            settings=None,
            setup_address=None,
            missing=None,
        )
        if sheet.claimed:
            return sheet
        now = self._clock.now()
        code = await devices.renew_claim_code(transaction, place.site_id, device_id, now)
        sheet = sheet.model_copy(update={"claim_code": code})
        if device.wiring is None or place.gateway.ca_pem is None or self._signer is None:
            why = _NO_WIRING if device.wiring is None else _NO_CA if place.gateway.ca_pem is None else _NO_SIGNER
            return sheet.model_copy(update={"missing": why})
        text = settings_text(device_settings(draft, machine, device, place.currency, place.gateway.ca_pem, code))
        await assign_settings(transaction, operator, device_id, text, self._signer, self._keyring, now)
        signed = self._signer.sign(text)
        return sheet.model_copy(update={"settings": signed, "setup_address": setup_address(signed.to_line())})


async def _audit(
    transaction: Transaction, operator: Operator, setup_id: UUID, gateway: SheetGateway, devices: Sequence[SheetDevice]
) -> None:
    """For what it has codes."""
    told = {
        "gateway_id": str(gateway.gateway_id) if gateway.claim_code else None,
        "devices": [str(device.device_id) for device in devices if device.claim_code],
    }
    about, deed = Subject(SubjectKind.SETUP, setup_id), AuditAction.SHEET_MADE
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, after=told)
