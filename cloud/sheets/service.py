"""Making sheets: fresh one-time codes, and for each wired device its settings, signed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth.service import GatewayPlace, expect_ca, gateway_place
from cloud.callers import Operator
from cloud.clock import Clock, new_id
from cloud.configuration.rules import settings_text
from cloud.configuration.service import SettingsSigner, assign_settings
from cloud.database import Transaction
from cloud.devices import service as devices
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused
from cloud.onboarding import service as onboarding
from cloud.onboarding.rules import SiteRow, life_of
from cloud.setups.rules import Draft, DraftMachine, device_settings
from cloud.setups.service import SetupService
from cloud.sheets.rules import (
    Sheet,
    SheetBundle,
    SheetDevice,
    SheetGateway,
    bundle_name,
    claim_command,
    gateway_toml,
)
from cloud.templates.rules import OutlineDevice
from shared.bundles import BundlePlace, SiteBundle, as_text, new_passphrase, sealed
from shared.errors import Code
from shared.signed import setup_address
from shared.site_ca import KeyPair, certificate_pem, make_ca, private_key_pem
from shared.sync import ChangeBody

_CLAIMED = "SELECT id FROM devices WHERE id = ANY($1::uuid[]) AND claimed_at IS NOT NULL"
_NO_WIRING = "Its pin map is not known here: it gets its settings from whoever wires it, with this code."
_NO_CA = "Its gateway has not come in yet, and devices trust nobody else: let it in first, then make this sheet anew."
_HAS_COME_IN = "The gateway has come in already: what it sells, it hears from here."
_NO_SIGNER = "This cloud has no key to sign settings with (LARDER_CLOUD_SETTINGS_KEY_FILE): sign them at a desk."


FullState = Callable[[Transaction, Keyring, UUID], Awaitable[tuple[ChangeBody, ...]]]
"""Everything the gateway of a site needs to know (cloud/sync/changes.py)."""


@dataclass(frozen=True)
class _Unit:
    """In whose unit of work a sheet is made, and whether it is carried to a site without internet."""

    transaction: Transaction
    operator: Operator
    carried: bool


@dataclass(frozen=True)
class _Place:
    """Where the devices of a sheet are."""

    site_id: UUID
    currency: str
    gateway: GatewayPlace


class SheetService:
    """Makes sheets. `public_url` is where gateways reach this cloud; without a `signer` boards get no settings."""

    def __init__(
        self,
        setups: SetupService,
        signer: SettingsSigner | None,
        keyring: Keyring,
        clock: Clock,
        public_url: str,
        full_state: FullState,
    ) -> None:
        self._setups = setups
        self._signer = signer
        self._keyring = keyring
        self._clock = clock
        self._public_url = public_url
        self._full_state = full_state

    async def make(self, transaction: Transaction, operator: Operator, setup_id: UUID) -> Sheet:
        """Inside a unit of the operator's: fresh codes for all that has not come in yet; older ones stop working.

        Of two at once the later one's work: no fact of the site is taken meanwhile, so what is claimed is so on both.
        Raises NotFound, Refused (409) while the setup is open.
        """
        return await self._sheet(_Unit(transaction, operator, carried=False), setup_id)

    async def make_bundle(self, transaction: Transaction, operator: Operator, setup_id: UUID) -> Sheet:
        """As `make`, with the file that the gateway starts from. Of its CA the cloud keeps the certificate alone.

        Raises NotFound, Refused (409) while the setup is open, and once the gateway has come in.
        """
        unit = _Unit(transaction, operator, carried=True)
        row, _ = await self._setups.finished(transaction, setup_id)
        assert row.site_id is not None  # noqa: S101  finished
        assert row.gateway_id is not None  # noqa: S101  finished
        if self._signer is None:
            raise Refused(Code.CONFLICT, _NO_SIGNER, status=409)
        await onboarding.lock_gateways(transaction, [row.site_id])
        if (await gateway_place(transaction, row.gateway_id)).is_claimed:
            raise Refused(Code.CONFLICT, _HAS_COME_IN, status=409)
        ca = make_ca()
        await expect_ca(row.gateway_id, certificate_pem(ca))
        site = await onboarding.site(row.site_id)
        sheet = await self._sheet(unit, setup_id)
        bundle = await self._bundle(unit, sheet, site, ca)
        passphrase = new_passphrase()
        signed = self._signer.sign_bundle(bundle.to_line().decode())
        file = await asyncio.to_thread(sealed, signed, passphrase)
        told = SheetBundle(
            file_name=bundle_name(sheet.site_name),
            file=as_text(file),
            passphrase=passphrase,
            public_key=signed.public_key,
        )
        return sheet.model_copy(update={"bundle": told})

    async def _bundle(self, unit: _Unit, sheet: Sheet, site: SiteRow, ca: KeyPair) -> SiteBundle:
        assert sheet.gateway.claim_code is not None  # noqa: S101  it has not come in
        state = await self._full_state(unit.transaction, self._keyring, site.site_id)
        return SiteBundle(
            bundle_id=new_id(),
            made_at=sheet.made_at,
            cloud_url=self._public_url,
            place=BundlePlace(
                gateway_id=sheet.gateway.gateway_id,
                tenant_id=unit.operator.tenant_id,
                site_id=site.site_id,
                site_name=site.name,
                currency=site.currency,
            ),
            claim_code=sheet.gateway.claim_code,
            claim_expires_at=sheet.expires_at,
            ca_key_pem=private_key_pem(ca),
            ca_pem=certificate_pem(ca),
            changes=tuple(body.model_dump(mode="json") for body in state),
        )

    async def _sheet(self, unit: _Unit, setup_id: UUID) -> Sheet:
        row, draft = await self._setups.finished(unit.transaction, setup_id)
        assert row.site_id is not None  # noqa: S101  finished
        assert row.gateway_id is not None  # noqa: S101  finished
        now = self._clock.now()
        await onboarding.lock_gateways(unit.transaction, [row.site_id])
        site = await onboarding.site(row.site_id)
        place = _Place(site.site_id, site.currency, await gateway_place(unit.transaction, row.gateway_id))
        gateway = await self._gateway(unit, place.gateway, now)
        ids = [device_id for machine in draft.machines for device_id in machine.device_ids.values()]
        claimed = {found["id"] for found in await unit.transaction.fetch(_CLAIMED, ids)}
        told = [
            await self._device(unit, place, draft, machine, device, claimed)
            for machine in draft.machines
            for device in machine.outline.devices
        ]
        await _audit(unit, setup_id, gateway, told)
        return Sheet(
            setup_id=setup_id,
            site_name=site.name,
            site_address=site.address,
            made_at=now,
            expires_at=now + life_of(carried=unit.carried),
            gateway=gateway,
            devices=tuple(told),
            bundle=None,
        )

    async def _gateway(self, unit: _Unit, gateway: GatewayPlace, now: datetime) -> SheetGateway:
        code = None
        if not gateway.is_claimed:
            await onboarding.end_claim_codes(gateway.gateway_id, now)
            issued = (unit.transaction, unit.operator.actor, unit.operator.tenant_id, gateway.gateway_id, now)
            code = await onboarding.issue_claim_code(*issued, carried=unit.carried)
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
        unit: _Unit,
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
        code = await devices.renew_claim_code(unit.transaction, place.site_id, device_id, now, carried=unit.carried)
        sheet = sheet.model_copy(update={"claim_code": code})
        if device.wiring is None or place.gateway.ca_pem is None or self._signer is None:
            why = _NO_WIRING if device.wiring is None else _NO_CA if place.gateway.ca_pem is None else _NO_SIGNER
            return sheet.model_copy(update={"missing": why})
        text = settings_text(device_settings(draft, machine, device, place.currency, place.gateway.ca_pem, code))
        work = (unit.transaction, unit.operator)
        await assign_settings(*work, device_id, text, self._signer, self._keyring, now)
        signed = self._signer.sign(text)
        return sheet.model_copy(update={"settings": signed, "setup_address": setup_address(signed.to_line())})


async def _audit(unit: _Unit, setup_id: UUID, gateway: SheetGateway, devices: Sequence[SheetDevice]) -> None:
    """For what it has codes."""
    told = {
        "carried": unit.carried,
        "gateway_id": str(gateway.gateway_id) if gateway.claim_code else None,
        "devices": [str(device.device_id) for device in devices if device.claim_code],
    }
    about, deed = Subject(SubjectKind.SETUP, setup_id), AuditAction.SHEET_MADE
    await audit.record(unit.transaction, unit.operator.actor, unit.operator.tenant_id, deed, about, after=told)
