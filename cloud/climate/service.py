"""What gateways tell of zones."""

import json
from collections.abc import Sequence
from uuid import UUID

from cloud.climate.rules import ToldRelease, zone_steps
from cloud.database import Transaction, columns
from cloud.errors import FactRefused
from shared.sync import Fact

_STEPS = """
    INSERT INTO zones AS z (tenant_id, device_id, zone, locked, slots, centi_celsius, released_by,
                             released_at_machine, changed_at, release_id, released_at)
    SELECT $1, u.device_id, u.zone, u.locked,
           coalesce((SELECT array_agg(slot) FROM json_array_elements_text(u.slots::json) AS slot), '{}'),
           u.celsius, u.released_by, u.at_machine, u.changed_at, u.release_id, u.released_at
    FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::boolean[], $6::text[], $7::integer[], $8::text[],
                $9::boolean[], $10::timestamptz[], $11::uuid[], $12::timestamptz[])
        AS u (device_id, zone, machine_id, locked, slots, celsius, released_by, at_machine, changed_at, release_id,
              released_at)
    JOIN devices d ON d.tenant_id = $1 AND d.id = u.device_id AND d.machine_id = u.machine_id
    ON CONFLICT ON CONSTRAINT zones_pkey DO UPDATE SET locked = excluded.locked, changed_at = excluded.changed_at,
        slots = CASE WHEN excluded.locked OR excluded.slots <> '{}' THEN excluded.slots ELSE z.slots END,
        centi_celsius = CASE WHEN excluded.locked OR excluded.slots <> '{}' THEN excluded.centi_celsius
            ELSE z.centi_celsius END,
        released_by = excluded.released_by, released_at_machine = excluded.released_at_machine,
        release_id = excluded.release_id, released_at = excluded.released_at
"""
"""A release alone says nothing of slots and temperature: those of its lock stay."""


_KNOWN = """
    SELECT device_id, zone, release_id, released_at FROM zones
    WHERE tenant_id = $1 AND device_id = ANY($2::uuid[]) AND release_id IS NOT NULL
"""


async def record(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """Locked, released. Raises FactRefused for an unknown device, or one of another machine."""
    rows = [
        (
            device_id,
            zone,
            step.machine_id,
            step.locked,
            json.dumps(step.slots),
            step.centi_celsius,
            step.released_by,
            step.released_at_machine,
            step.changed_at,
            *step.release,
        )
        for (device_id, zone), step in zone_steps(facts, await _known(transaction, tenant_id, facts)).items()
    ]
    if rows and await transaction.execute(_STEPS, tenant_id, *columns(rows)) != len(rows):
        raise FactRefused("the device is unknown")


async def _known(
    transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]
) -> dict[tuple[UUID, str], ToldRelease]:
    """The newest release of each zone of the devices that the facts speak of."""
    devices = list({vars(fact.body)["device_id"] for fact in facts})
    found = await transaction.fetch(_KNOWN, tenant_id, devices)
    return {(row["device_id"], row["zone"]): ToldRelease(row["release_id"], row["released_at"]) for row in found}
