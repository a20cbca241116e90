"""Devices: expected by people, claimed at gateways, watched by both."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from cloud.auth.rules import sha256_hex
from cloud.clock import new_id
from cloud.database import Row, Transaction, columns, values
from cloud.devices.models import Device
from cloud.devices.rules import device_steps
from cloud.errors import FactRefused, there
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.onboarding.rules import life_of, new_claim_code
from cloud.onboarding.service import append_changes
from shared.contract import CentiCelsius, Digest, Instant, Message, Name, SlotCode, Zone
from shared.devices import DeviceHealth, ExpectedDevice
from shared.sync import Fact

_STEPS = """
    UPDATE devices SET
        claimed_at = coalesce(u.claimed_at, devices.claimed_at),
        online = coalesce(u.online, devices.online),
        link_changed_at = coalesce(u.changed_at, devices.link_changed_at),
        link_reason = coalesce(u.reason, devices.link_reason)
    FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::boolean[], $5::timestamptz[], $6::text[])
        AS u (id, machine_id, claimed_at, online, changed_at, reason)
    WHERE devices.id = u.id AND devices.machine_id = u.machine_id
"""
_HEALTH = """
    INSERT INTO device_health AS h
        (tenant_id, device_id, at, firmware, uptime_s, free_bytes, rssi_dbm, journal_bytes, reset_cause,
         journal_limit_bytes, centi_celsius, door_open, peak_ma, clock, received_at)
    SELECT $1, u.device_id, u.at, u.firmware, u.uptime, u.free, u.rssi, u.journal, u.cause,
           u.journal_limit, u.celsius, u.door, u.peaks, u.clock, now()
    FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::bigint[], $7::bigint[], $8::integer[],
                $9::bigint[], $10::text[], $11::bigint[], $12::text[], $13::boolean[], $14::text[], $15::text[])
        AS u (device_id, machine_id, at, firmware, uptime, free, rssi, journal, cause, journal_limit, celsius, door,
              peaks, clock)
    JOIN devices d ON d.tenant_id = $1 AND d.id = u.device_id AND d.machine_id = u.machine_id
    JOIN machines m ON m.tenant_id = $1 AND m.id = d.machine_id AND m.site_id = $16
    ON CONFLICT ON CONSTRAINT device_health_pkey DO UPDATE SET at = excluded.at, firmware = excluded.firmware,
        uptime_s = excluded.uptime_s, free_bytes = excluded.free_bytes, rssi_dbm = excluded.rssi_dbm,
        journal_bytes = excluded.journal_bytes, reset_cause = excluded.reset_cause,
        journal_limit_bytes = excluded.journal_limit_bytes, centi_celsius = excluded.centi_celsius,
        door_open = excluded.door_open, peak_ma = excluded.peak_ma, clock = excluded.clock,
        received_at = excluded.received_at
    WHERE h.at <= excluded.at OR h.at > h.received_at + interval '1 minute'
"""
"""A sample from ahead of its time was taken under a wrong clock: it gives way to any."""
_EXPECTED = """
    SELECT d.id, d.machine_id, d.name, d.claim_code_sha256, d.claim_expires_at FROM devices d
    JOIN machines m ON m.tenant_id = d.tenant_id AND m.id = d.machine_id
    WHERE m.site_id = $1 ORDER BY d.id
"""
_LIST = """
    SELECT d.id AS device_id, d.machine_id, d.name, d.claimed_at, d.online, d.link_changed_at, d.link_reason,
           h.at AS health_at, h.firmware, h.uptime_s, h.free_bytes, h.rssi_dbm, h.journal_bytes,
           h.reset_cause, h.journal_limit_bytes, h.centi_celsius, h.door_open, h.peak_ma, h.clock,
           (SELECT json_agg(json_build_object('zone', z.zone, 'locked', z.locked, 'slots', z.slots,
                'centi_celsius', z.centi_celsius, 'released_by', z.released_by,
                'released_at_machine', z.released_at_machine, 'changed_at', z.changed_at)
                ORDER BY z.zone)::text
            FROM zones z WHERE z.tenant_id = d.tenant_id AND z.device_id = d.id) AS zones,
           f.slot AS running_slot, f.digest AS running_digest, f.version AS running_version,
           f.state AS firmware_state, f.offered AS firmware_offered, f.reason AS firmware_reason,
           f.changed_at AS firmware_changed_at,
           a.digest AS assigned_digest, r.version AS assigned_version, a.given_up_reason
    FROM {picked} LEFT JOIN device_health h ON h.tenant_id = d.tenant_id AND h.device_id = d.id
    LEFT JOIN device_firmware f ON f.tenant_id = d.tenant_id AND f.device_id = d.id
    LEFT JOIN firmware_assignments a ON a.tenant_id = d.tenant_id AND a.device_id = d.id
    LEFT JOIN releases r ON r.tenant_id = a.tenant_id AND r.digest = a.digest
"""


class ZoneRow(Message):
    """A zone that has ever locked: with which slots, how warm it was then, and what released it.

    `released_by` asked for it from afar; `released_at_machine`: somebody did it by hand there.
    """

    zone: Zone
    locked: bool
    slots: tuple[SlotCode, ...]
    centi_celsius: CentiCelsius | None
    released_by: str | None
    released_at_machine: bool
    changed_at: Instant


_EXPECT = """
    INSERT INTO devices
        (tenant_id, machine_id, id, name, claim_code_sha256, claim_issued_at, claim_expires_at, wiring)
    SELECT $1, $2, * FROM unnest($3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[])
"""
_WIRINGS = "SELECT id, wiring FROM devices WHERE machine_id = $1 AND wiring IS NOT NULL"
_LOCKED = """
    SELECT d.id, d.machine_id, m.site_id FROM devices d
    JOIN machines m ON m.tenant_id = d.tenant_id AND m.id = d.machine_id WHERE d.id = $1 FOR UPDATE OF d
"""


class DeviceRow(Message):
    """A device as operators see it; the health fields are of its newest sample.

    What runs is what the device itself says, and `firmware_state` how it stands with what was offered last; what was
    assigned is a wish, and `given_up_reason` why it came to nothing.
    """

    device_id: UUID
    machine_id: UUID
    name: Name
    claimed_at: Instant | None
    online: bool
    link_changed_at: Instant | None
    link_reason: str
    health_at: Instant | None
    firmware: str | None
    uptime_s: int | None
    free_bytes: int | None
    rssi_dbm: int | None
    journal_bytes: int | None
    reset_cause: str | None
    journal_limit_bytes: int | None
    centi_celsius: dict[Zone, CentiCelsius | None]
    door_open: bool | None
    peak_ma: dict[SlotCode, int]
    clock: str | None
    zones: tuple[ZoneRow, ...]
    running_slot: str | None
    running_digest: Digest | None
    running_version: str | None
    firmware_state: str | None
    firmware_offered: Digest | None
    firmware_reason: str | None
    firmware_changed_at: Instant | None
    assigned_digest: Digest | None
    assigned_version: str | None
    given_up_reason: str | None


_ZONES: TypeAdapter[tuple[ZoneRow, ...]] = TypeAdapter(tuple[ZoneRow, ...])


def _row(found: Row) -> DeviceRow:
    row = dict(found)
    row["zones"] = _ZONES.validate_json(row["zones"] or "[]")
    for name in ("centi_celsius", "peak_ma"):
        row[name] = json.loads(row[name] or "{}")
    return DeviceRow(**row)


class DeviceQuery(PageQuery):
    """Devices by id."""

    row = DeviceRow

    machine_id: UUID | None = None
    site_id: UUID | None = None
    online: bool | None = None


class DevicePage(Message):
    """A page of devices by id."""

    devices: tuple[DeviceRow, ...]
    next_cursor: str | None


_DEVICES = Listing(
    name="devices",
    row=DeviceRow,
    page=DevicePage,
    table="devices d",
    show=_LIST,
    read=_row,
    sorts={"device_id": Sort({"device_id": "d.id"})},
    filters={
        "machine_id": "d.machine_id = {}",
        "site_id": "d.machine_id IN (SELECT m.id FROM machines m WHERE m.site_id = {})",
        "online": "d.online = {}",
    },
)


async def expect_device(
    transaction: Transaction,
    tenant_id: UUID,
    site_id: UUID,
    machine_id: UUID,
    name: str,
    now: datetime,
    device_id: UUID | None = None,
) -> tuple[UUID, str]:
    """Inside a unit of the tenant: a device its gateway will let in. Returns its id and its one-time code."""
    code = new_claim_code()
    device = Device(id=device_id or new_id(), tenant_id=tenant_id, machine_id=machine_id, name=name)
    _set_code(device, code, now)
    await device.save()
    await append_changes(transaction, site_id, [_expected(device)])
    return device.id, code


@dataclass(frozen=True)
class DeviceToBe:
    """A device of a machine. `wiring`: how it shall be wired, as JSON (cloud/templates/rules.py)."""

    device_id: UUID
    name: str
    wiring: str | None


async def expect_devices(
    transaction: Transaction,
    tenant_id: UUID,
    site_id: UUID,
    machine_id: UUID,
    wanted: Sequence[DeviceToBe],
    now: datetime,
) -> None:
    """Inside a unit of the tenant: devices its gateway will let in, once each has been given a code it can be told."""
    made = [Device(id=one.device_id, tenant_id=tenant_id, machine_id=machine_id, name=one.name) for one in wanted]
    for device in made:
        _set_code(device, new_claim_code(), now)
    rows = [
        (device.id, device.name, device.claim_code_sha256, device.claim_issued_at, device.claim_expires_at, one.wiring)
        for device, one in zip(made, wanted, strict=True)
    ]
    if rows:
        await transaction.execute(_EXPECT, tenant_id, machine_id, *columns(rows))
        await append_changes(transaction, site_id, [_expected(device) for device in made])


async def wirings(transaction: Transaction, machine_id: UUID) -> dict[UUID, str]:
    """Inside a unit of the tenant: how devices of a machine were to be wired when they were made, if that is known."""
    return {row["id"]: row["wiring"] for row in await transaction.fetch(_WIRINGS, machine_id)}


async def renew_claim_code(
    transaction: Transaction, site_id: UUID, device_id: UUID, now: datetime, *, carried: bool = False
) -> str:
    """Inside a unit of the tenant: a fresh one-time code for a device that must claim itself (again).

    `carried`: to a site without internet, so it lives longer.
    """
    code = new_claim_code()
    device = await Device.select_for_update().get(id=device_id)
    _set_code(device, code, now, carried=carried)
    await device.save(update_fields=["claim_code_sha256", "claim_issued_at", "claim_expires_at", "claim_carried"])
    await append_changes(transaction, site_id, [_expected(device)])
    return code


async def locked_device(transaction: Transaction, device_id: UUID) -> Row:
    """Its row, locked, with its machine and its site. Raises NotFound."""
    return there(await transaction.fetch_one(_LOCKED, device_id))


async def expected(transaction: Transaction, site_id: UUID) -> list[ExpectedDevice]:
    """The devices of a site with the hashes of their codes. A gateway decides by its own record which are claimed."""
    return [
        ExpectedDevice(
            device_id=row["id"],
            machine_id=row["machine_id"],
            name=row["name"],
            claim_code_sha256=row["claim_code_sha256"],
            claim_expires_at=row["claim_expires_at"],
        )
        for row in await transaction.fetch(_EXPECTED, site_id)
    ]


async def record_steps(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Claimed, came, went. Raises FactRefused for an unknown device."""
    rows = [(device_id, *values(step)) for device_id, step in device_steps(facts).items()]
    if await transaction.execute(_STEPS, *columns(rows)) != len(rows):
        raise FactRefused("the device is unknown")


async def record_health(
    transaction: Transaction, tenant_id: UUID, site_id: UUID, samples: Sequence[DeviceHealth]
) -> int:
    """Keep the newest sample of each device of the site, by the gateway's clock. How many were kept.

    Samples of others, and older ones than we have, are dropped.
    """
    newest = {sample.device_id: sample for sample in sorted(samples, key=lambda sample: sample.at)}
    rows = [_health(sample) for sample in newest.values()]
    return await transaction.execute(_HEALTH, tenant_id, *columns(rows), site_id) if rows else 0


async def device_page(transaction: Transaction, query: DeviceQuery) -> DevicePage:
    """The devices that are asked for. Raises Refused for a cursor that is not theirs."""
    return await read_page(transaction, _DEVICES, query)


def _health(sample: DeviceHealth) -> tuple[object, ...]:
    return (
        sample.device_id,
        sample.machine_id,
        sample.at,
        sample.firmware,
        sample.uptime_s,
        sample.free_bytes,
        sample.rssi_dbm,
        sample.journal_bytes,
        sample.reset_cause,
        sample.journal_limit_bytes,
        json.dumps(sample.centi_celsius),
        sample.door_open,
        json.dumps(sample.peak_ma),
        sample.clock,
    )


def _set_code(device: Device, code: str, now: datetime, *, carried: bool = False) -> None:
    device.claim_code_sha256, device.claim_carried = sha256_hex(code), carried
    device.claim_issued_at, device.claim_expires_at = now, now + life_of(carried=carried)


def _expected(device: Device) -> ExpectedDevice:
    return ExpectedDevice(
        device_id=device.id,
        machine_id=device.machine_id,
        name=device.name,
        claim_code_sha256=device.claim_code_sha256,
        claim_expires_at=device.claim_expires_at,
    )
