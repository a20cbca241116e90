"""How devices were: kept with every telemetry, shown to people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from cloud.database import Transaction, columns
from cloud.health.rules import Kept, fold, worst
from shared.contract import CentiCelsius, Instant, Message, SlotCode, Zone
from shared.devices import DeviceHealth

_COLUMNS = tuple(field.name for field in fields(Kept))
KNOWN = f"""
    SELECT h.device_id, h.begin_at, {", ".join(f"h.{name}" for name in _COLUMNS)}
    FROM unnest($1::uuid[], $2::timestamptz[]) AS u (device_id, begin_at)
    JOIN health_samples h ON h.device_id = u.device_id AND h.begin_at = u.begin_at
"""  # noqa: S608  no outsider's words
KEEP = f"""
    INSERT INTO health_samples (tenant_id, device_id, begin_at, {", ".join(_COLUMNS)})
    SELECT $1, u.* FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::bigint[], $7::bigint[],
                $8::integer[], $9::bigint[], $10::text[], $11::bigint[], $12::text[], $13::boolean[], $14::text[],
                $15::text[]) AS u (device_id, begin_at, {", ".join(_COLUMNS)})
    JOIN devices d ON d.tenant_id = $1 AND d.id = u.device_id
    JOIN machines m ON m.tenant_id = $1 AND m.id = d.machine_id AND m.site_id = $16
    ON CONFLICT ON CONSTRAINT health_samples_pkey DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)}, received_at = now()
"""  # noqa: S608  no outsider's words
LIST = f"""
    SELECT begin_at, {", ".join(_COLUMNS)} FROM health_samples
    WHERE device_id = $1 AND begin_at >= $2 AND begin_at < $3 ORDER BY begin_at LIMIT $4
"""  # noqa: S608  no outsider's words


class HealthSample(Message):
    """Five minutes of a device as operators see them: of what is measured the worst, of all else the newest."""

    begin_at: Instant
    """When they began, by the gateway's clock."""
    at: Instant
    firmware: str | None
    uptime_s: int
    free_bytes: int | None
    rssi_dbm: int | None
    journal_bytes: int | None
    reset_cause: str | None
    journal_limit_bytes: int | None
    centi_celsius: dict[Zone, CentiCelsius | None]
    door_open: bool | None
    peak_ma: dict[SlotCode, int]
    clock: str


async def record(transaction: Transaction, tenant_id: UUID, site_id: UUID, samples: Sequence[DeviceHealth]) -> None:
    """Add samples of the site's devices to what is kept; others are dropped. Told again they change nothing."""
    new = fold(samples)
    if not new:
        return
    for row in await transaction.fetch(KNOWN, *columns(list(new))):
        key = (row["device_id"], row["begin_at"])
        new[key] = worst(new[key], _read(row))
    rows = [(*key, *_written(kept)) for key, kept in new.items()]
    await transaction.execute(KEEP, tenant_id, *columns(rows), site_id)


async def samples(
    transaction: Transaction, device_id: UUID, since: datetime, until: datetime, limit: int
) -> list[HealthSample]:
    """What is kept of a device from `since` to before `until`, the oldest first."""
    rows = await transaction.fetch(LIST, device_id, since, until, limit)
    return [HealthSample(begin_at=row["begin_at"], **vars(_read(row))) for row in rows]


def _read(row: Mapping[str, Any]) -> Kept:
    told = {name: row[name] for name in _COLUMNS}
    return Kept(**told | {name: json.loads(told[name]) for name in ("centi_celsius", "peak_ma")})


def _written(kept: Kept) -> tuple[object, ...]:
    return tuple(json.dumps(value) if isinstance(value, dict) else value for value in vars(kept).values())
