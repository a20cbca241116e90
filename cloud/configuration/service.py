"""The settings that devices shall run on, signed and numbered, and what devices say they run on."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.configuration import rules
from cloud.configuration.rules import SignedReport
from cloud.database import Row, Transaction, columns
from cloud.devices.service import locked_device
from cloud.encryption.columns import SETTINGS_TEXT
from cloud.encryption.keyring import Keyring
from cloud.errors import FactRefused, NotFound, Refused, SettingsError, Undecipherable
from cloud.onboarding.service import append_changes
from shared.bundles import SignedBundle
from shared.contract import Digest, Instant, Message, Name
from shared.errors import Code
from shared.signed import BUNDLE, REPORT, Purpose, SignedText, signed_bytes
from shared.sync import ChangeBody, Fact
from shared.upkeep import SettingsAssigned, SettingsReported, SettingsState

log = structlog.get_logger()

_NEWEST = """
    SELECT s.tenant_id, s.device_id, d.machine_id, s.version, s.signed, s.digest, k.name AS assigned_by, s.assigned_at
    FROM device_settings s
    JOIN devices d ON d.tenant_id = s.tenant_id AND d.id = s.device_id
    JOIN machines m ON m.tenant_id = d.tenant_id AND m.id = d.machine_id
    JOIN actors k ON k.tenant_id = s.tenant_id AND k.id = s.assigned_by
    WHERE s.version = (SELECT max(version) FROM device_settings n
                       WHERE n.tenant_id = s.tenant_id AND n.device_id = s.device_id)
"""
_ASSIGN = """
    INSERT INTO device_settings (tenant_id, device_id, version, signed, digest, assigned_by, assigned_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_TEXTS = """
    SELECT tenant_id, device_id, version, signed FROM device_settings
    WHERE (device_id, version) IN (SELECT * FROM unnest($1::uuid[], $2::integer[]))
"""
_NO_TEXT = "{}"
"""In a change as it is kept: the text itself lies encrypted in one place."""
_REPORT = """
    INSERT INTO device_settings_reports (tenant_id, device_id, digest, state, offered, reason, tries, reported_at)
    SELECT $1, u.device_id, u.digest, u.state, u.offered, u.reason, u.tries, u.at
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
                $9::timestamptz[])
        AS u (device_id, machine_id, digest, state, offered, reason, tries, at)
    JOIN devices d ON d.tenant_id = $1 AND d.id = u.device_id AND d.machine_id = u.machine_id
    ON CONFLICT ON CONSTRAINT device_settings_reports_pkey DO UPDATE SET digest = excluded.digest,
        state = excluded.state, offered = excluded.offered, reason = excluded.reason, tries = excluded.tries,
        reported_at = excluded.reported_at
"""


class SettingsSigner:
    """Signs settings with one Ed25519 key, by which devices know their operator (shared/signed.py)."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._key_id = hashlib.sha256(self._public).digest()[:8].hex()

    def sign(self, text: str) -> SignedText:
        """Always the same for the same text."""
        return SignedText(text=text, key=self._key_id, signature=self._signature(Purpose.SETTINGS, text))

    def sign_report(self, text: str) -> SignedReport:
        """Of a machine that goes into service. No device takes it for settings: what it is, is signed with it."""
        return SignedReport(text=text, key=self._key_id, signature=self._signature(REPORT, text))

    def sign_bundle(self, text: str) -> SignedBundle:
        """Of a site, for a gateway that starts without this cloud."""
        return SignedBundle(text=text, public_key=self._public.hex(), signature=self._signature(BUNDLE, text))

    def _signature(self, purpose: Purpose | Literal["report", "bundle"], text: str) -> str:
        return self._key.sign(signed_bytes(purpose, text)).hex()


def read_signer(path: Path) -> SettingsSigner:
    """The signer with the private key in this PEM file. Raises SettingsError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"LARDER_CLOUD_SETTINGS_KEY_FILE: {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError):
        raise SettingsError(f"LARDER_CLOUD_SETTINGS_KEY_FILE: {path} holds no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"LARDER_CLOUD_SETTINGS_KEY_FILE: {path} holds no Ed25519 key")
    return SettingsSigner(key)


class WantedSettings(Message):
    """The newest version for a device; of the Wi-Fi password and the claim code only that there is one is shown."""

    version: int
    digest: Digest
    settings: dict[str, Any]
    assigned_by: Name
    assigned_at: Instant


class ReportedSettings(Message):
    """What the device itself last said: `digest` is None for unsigned settings."""

    digest: Digest | None
    state: SettingsState
    offered: Digest | None
    reason: str | None
    tries: int
    """How often it has tried those that were offered last; after three the gateway offers them no more."""
    reported_at: Instant


class DeviceSettings(Message):
    """The settings a device shall run on, and what it says it runs on."""

    device_id: UUID
    wanted: WantedSettings | None
    reported: ReportedSettings | None
    runs_wanted: bool
    """The device runs on the wanted version, and has kept it."""


async def assign_settings(
    transaction: Transaction,
    operator: Operator,
    device_id: UUID,
    text: str,
    signer: SettingsSigner,
    keyring: Keyring,
    now: datetime,
) -> bool:
    """Inside a unit of the tenant: have the device run on these settings; false if it shall already.

    The same again that came to nothing are a new version: the device shall try them anew.
    Raises NotFound, Refused with the setting that is wrong.
    """
    device = await locked_device(transaction, device_id)
    wrong = rules.wrong_setting(text, device["machine_id"], device_id)
    if wrong is not None:
        raise Refused(
            Code.VALIDATION_FAILED, f"The device would refuse these settings: {wrong.message}.", errors=(wrong,)
        )
    signed = signer.sign(text)
    newest = await transaction.fetch_one(_NEWEST + " AND s.device_id = $1", device_id)
    line = signed.to_line()
    digest = hashlib.sha256(line).hexdigest()
    if newest is not None and newest["digest"] == digest and not await _came_to_nothing(transaction, device_id, digest):
        return False
    version = 1 if newest is None else newest["version"] + 1
    kept = SETTINGS_TEXT.seal(keyring, (operator.tenant_id, device_id, version), line.decode())
    what = (device_id, version, kept, digest, operator.actor.id, now)
    await transaction.execute(_ASSIGN, operator.tenant_id, *what)
    machine_id = device["machine_id"]
    without = signed.model_copy(update={"text": _NO_TEXT})  # `with_texts` adds it on the way down
    change = SettingsAssigned(device_id=device_id, machine_id=machine_id, version=version, signed=without)
    await append_changes(transaction, device["site_id"], [change])
    about, actor, deed = Subject(SubjectKind.DEVICE, device_id), operator.actor, AuditAction.SETTINGS_ASSIGNED
    was = None if newest is None else {"version": newest["version"], "digest": newest["digest"]}
    shall_be = {
        "version": version,
        "digest": digest,
        "changed": rules.changed_settings("{}" if newest is None else _signed(keyring, newest).text, text),
    }
    await audit.record(transaction, actor, operator.tenant_id, deed, about, before=was, after=shall_be)
    log.info("settings_assigned", device_id=str(device_id), version=version, digest=digest)
    return True


async def settings_of(transaction: Transaction, keyring: Keyring, device_id: UUID) -> DeviceSettings:
    """What a device shall run on, and what it says it does. Raises NotFound."""
    if await transaction.fetch_one("SELECT 1 FROM devices WHERE id = $1", device_id) is None:
        raise NotFound
    row = await transaction.fetch_one(_NEWEST + " AND s.device_id = $1", device_id)
    wanted = None if row is None else _wanted(keyring, row)
    reported = await _reported(transaction, device_id)
    return DeviceSettings(
        device_id=device_id,
        wanted=wanted,
        reported=reported,
        runs_wanted=wanted is not None
        and reported is not None
        and reported.digest == wanted.digest
        and reported.state is not SettingsState.TRIAL,
    )


async def _reported(transaction: Transaction, device_id: UUID) -> ReportedSettings | None:
    told = await transaction.fetch_one(
        "SELECT digest, state, offered, reason, tries, reported_at FROM device_settings_reports WHERE device_id = $1",
        device_id,
    )
    return None if told is None else ReportedSettings(**{**told, "state": SettingsState(told["state"])})


async def _came_to_nothing(transaction: Transaction, device_id: UUID, digest: str) -> bool:
    """Whether the device has said that it does not keep these."""
    told = await _reported(transaction, device_id)
    if told is None or told.offered != digest:
        return False
    return told.state in (SettingsState.REVERTED, SettingsState.REFUSED)


async def settings_for(transaction: Transaction, keyring: Keyring, site_id: UUID) -> list[SettingsAssigned]:
    """The newest settings of each device of a site."""
    rows = await transaction.fetch(_NEWEST + " AND m.site_id = $1 ORDER BY s.device_id", site_id)
    return [
        SettingsAssigned(
            device_id=row["device_id"], machine_id=row["machine_id"], version=row["version"], signed=signed
        )
        for row in rows
        if (signed := _readable(keyring, row)) is not None
    ]


async def with_texts(
    transaction: Transaction, keyring: Keyring, bodies: Sequence[ChangeBody]
) -> tuple[ChangeBody, ...]:
    """The changes as a gateway is told them: settings with their text."""
    versions: list[tuple[object, ...]] = [(b.device_id, b.version) for b in bodies if isinstance(b, SettingsAssigned)]
    if not versions:
        return tuple(bodies)
    rows = await transaction.fetch(_TEXTS, *columns(versions))
    texts = {(row["device_id"], row["version"]): _readable(keyring, row) for row in rows}
    return tuple(
        body.model_copy(update={"signed": texts[body.device_id, body.version]})
        if isinstance(body, SettingsAssigned)
        else body
        for body in bodies
        if not isinstance(body, SettingsAssigned) or texts.get((body.device_id, body.version)) is not None
    )


async def record_settings(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """What devices say they run on. Raises FactRefused for an unknown device."""
    newest = {fact.body.device_id: fact for fact in facts if isinstance(fact.body, SettingsReported)}
    rows: list[tuple[object, ...]] = [
        (body.device_id, body.machine_id, body.digest, body.state, body.offered, body.reason, body.tries, fact.at)
        for fact in newest.values()
        if isinstance(body := fact.body, SettingsReported)
    ]
    if await transaction.execute(_REPORT, tenant_id, *columns(rows)) != len(rows):
        raise FactRefused("the device is unknown")


def _signed(keyring: Keyring, row: Row) -> SignedText:
    """Raises Undecipherable."""
    kept = SETTINGS_TEXT.open(keyring, (row["tenant_id"], row["device_id"], row["version"]), row["signed"])
    return SignedText.model_validate_json(kept)


def _readable(keyring: Keyring, row: Row) -> SignedText | None:
    """None for settings that cannot be read: they are not told, and stop no others."""
    try:
        return _signed(keyring, row)
    except Undecipherable as error:
        log.error("settings_unreadable", device_id=str(row["device_id"]), reason=str(error))
        return None


def _wanted(keyring: Keyring, row: Row) -> WantedSettings:
    return WantedSettings(
        version=row["version"],
        digest=row["digest"],
        settings=rules.shown(_signed(keyring, row).text),
        assigned_by=row["assigned_by"],
        assigned_at=row["assigned_at"],
    )
