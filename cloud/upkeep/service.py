"""What people ask of devices, told to their gateways, and what became of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import structlog
from pydantic import Field

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.clock import new_id
from cloud.database import Row, Transaction
from cloud.devices.service import locked_device
from cloud.encryption.columns import INSTRUCTION_PIN
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused, Undecipherable
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.onboarding.service import append_changes
from shared.contract import Instant, Message, Name, SlotCode, Zone
from shared.devices import Evidence
from shared.errors import Code
from shared.sync import ChangeBody, Fact
from shared.upkeep import Action, DeviceInstruction, Pin, RequestState

log = structlog.get_logger()

_ADD = """
    INSERT INTO device_instructions
        (tenant_id, id, device_id, idempotency_key, action, slot, zone, pin, asked_by, asked_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT ON CONSTRAINT device_instructions_key DO NOTHING
"""
_ROWS = """
    SELECT i.id AS request_id, i.device_id, i.action, i.slot, i.zone, k.name AS asked_by, i.asked_at, i.expires_at,
           i.state, i.reason, i.evidence, i.ended_at, i.idempotency_key
    FROM {picked} JOIN actors k ON k.tenant_id = i.tenant_id AND k.id = i.asked_by
"""
_BY_KEY = _ROWS.format(picked="device_instructions i") + " WHERE i.idempotency_key = $1"
_PENDING = """
    SELECT i.tenant_id, i.id AS request_id, i.device_id, d.machine_id, i.action, i.slot, i.zone,
           CASE WHEN i.expires_at > now() THEN i.pin END AS pin, k.name AS asked_by, i.expires_at
    FROM device_instructions i
    JOIN devices d ON d.tenant_id = i.tenant_id AND d.id = i.device_id
    JOIN machines m ON m.tenant_id = d.tenant_id AND m.id = d.machine_id
    JOIN actors k ON k.tenant_id = i.tenant_id AND k.id = i.asked_by
    WHERE m.site_id = $1 AND i.ended_at IS NULL ORDER BY i.asked_at, i.id
"""
_PINS = """
    SELECT tenant_id, id AS request_id, pin FROM device_instructions
    WHERE id = ANY($1) AND pin IS NOT NULL AND expires_at > now()
"""
_FORGET_PINS = "UPDATE device_instructions SET pin = NULL WHERE pin IS NOT NULL AND expires_at <= now()"
_END = """
    UPDATE device_instructions SET state = $3, reason = $4, evidence = $5, ended_at = $6, pin = NULL
    WHERE id = $1 AND device_id = $2 AND ended_at IS NULL
"""


class InstructionRow(Message):
    """An instruction as operators see it; `state` is None while it waits. Its PIN is never shown."""

    request_id: UUID
    device_id: UUID
    action: Action
    slot: SlotCode | None
    zone: Zone | None
    asked_by: Name
    asked_at: Instant
    expires_at: Instant
    state: RequestState | None
    reason: str | None
    evidence: Evidence | None
    ended_at: Instant | None


class InstructionWish(Message):
    """What to ask of a device: a jog takes `slot` and `pin`, a release of a zone `zone`."""

    action: Action
    slot: SlotCode | None = None
    pin: Pin | None = None
    zone: Zone | None = None
    expires_in_s: Annotated[int, Field(ge=10, le=86_400)] = 300


def _instruction(row: Row) -> InstructionRow:
    evidence = None if row["evidence"] is None else Evidence.model_validate_json(row["evidence"])
    state = None if row["state"] is None else RequestState(row["state"])
    told = {name: row[name] for name in InstructionRow.model_fields}
    return InstructionRow(**told | {"action": Action(row["action"]), "state": state, "evidence": evidence})


class InstructionQuery(PageQuery):
    """What was asked of a device, the newest first."""

    row = InstructionRow


class InstructionPage(Message):
    """A page of what was asked of a device, the newest first."""

    instructions: tuple[InstructionRow, ...]
    next_cursor: str | None


_INSTRUCTIONS = Listing(
    name="instructions",
    row=InstructionRow,
    page=InstructionPage,
    table="device_instructions i",
    show=_ROWS,
    read=_instruction,
    sorts={"-asked_at": Sort({"asked_at": "i.asked_at", "request_id": "i.id"}, descending=True)},
    filters={"device_id": "i.device_id = {}"},
)


async def instruct(
    transaction: Transaction,
    operator: Operator,
    device_id: UUID,
    key: UUID,
    wish: InstructionWish,
    keyring: Keyring,
    now: datetime,
) -> tuple[InstructionRow, bool]:
    """Inside a unit of the tenant: ask something of a device; whether this is new, or was asked by the same key.

    Raises NotFound, Refused (idempotency_key_reused).
    """
    device = await locked_device(transaction, device_id)
    await transaction.execute(_FORGET_PINS)
    expires = now + timedelta(seconds=wish.expires_in_s)
    request_id = new_id()
    pin = None if wish.pin is None else INSTRUCTION_PIN.seal(keyring, (operator.tenant_id, request_id), wish.pin)
    what = (request_id, device_id, key, wish.action, wish.slot, wish.zone, pin, operator.actor.id, now, expires)
    is_new = await transaction.execute(_ADD, operator.tenant_id, *what) > 0
    row = await transaction.fetch_one(_BY_KEY, key)
    assert row is not None  # noqa: S101 - it was there, or has just been added
    if (row["device_id"], row["action"], row["slot"], row["zone"]) != (device_id, wish.action, wish.slot, wish.zone):
        raise Refused(Code.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key has asked for something else.")
    if is_new:
        asked = DeviceInstruction(
            request_id=row["request_id"],
            device_id=device_id,
            machine_id=device["machine_id"],
            action=wish.action,
            slot=wish.slot,
            zone=wish.zone,
            asked_by=operator.actor.name,
            expires_at=expires,
        )
        # Without its PIN, which lies in one place only: `with_pins` adds it on the way down.
        await append_changes(transaction, device["site_id"], [asked])
        about = Subject(SubjectKind.DEVICE, device_id)
        told = {"instruction_id": row["request_id"], "action": wish.action, "slot": wish.slot, "zone": wish.zone}
        actor, deed = operator.actor, AuditAction.DEVICE_INSTRUCTED
        await audit.record(transaction, actor, operator.tenant_id, deed, about, after=told)
    return _instruction(row), is_new


async def instruction_page(transaction: Transaction, device_id: UUID, query: InstructionQuery) -> InstructionPage:
    """What was asked of a device. Raises Refused for a cursor that is not its."""
    return await read_page(transaction, _INSTRUCTIONS, query, device_id=device_id)


async def pending(transaction: Transaction, keyring: Keyring, site_id: UUID) -> list[DeviceInstruction]:
    """What the devices of a site are asked for and have not answered.

    Also what has expired: only its gateway can say that it was not done before, and so ends it.
    """
    return [
        DeviceInstruction(
            request_id=row["request_id"],
            device_id=row["device_id"],
            machine_id=row["machine_id"],
            action=Action(row["action"]),
            slot=row["slot"],
            zone=row["zone"],
            pin=_pin(keyring, row),
            asked_by=row["asked_by"],
            expires_at=row["expires_at"],
        )
        for row in await transaction.fetch(_PENDING, site_id)
    ]


async def with_pins(transaction: Transaction, keyring: Keyring, bodies: Sequence[ChangeBody]) -> tuple[ChangeBody, ...]:
    """The changes as a gateway is told them: those that need a PIN with it, as long as they can be carried out."""
    jogs = [body.request_id for body in bodies if body.kind == "device_instruction" and body.action is Action.JOG]
    if not jogs:
        return tuple(bodies)
    pins = {row["request_id"]: _pin(keyring, row) for row in await transaction.fetch(_PINS, jogs)}
    return tuple(
        body.model_copy(update={"pin": pins.get(body.request_id)}) if body.kind == "device_instruction" else body
        for body in bodies
    )


async def record_ended(transaction: Transaction, tenant_id: UUID, facts: Sequence[Fact]) -> None:
    """What became of instructions: the first word counts. One that was given at the gateway is not known here."""
    for fact in facts:
        body = fact.body
        if body.event == "device_instruction_ended":
            evidence = None if body.evidence is None else body.evidence.model_dump_json()
            await transaction.execute(_END, body.request_id, body.device_id, body.state, body.reason, evidence, fact.at)


def _pin(keyring: Keyring, row: Row) -> str | None:
    """The PIN of an instruction. One that cannot be read goes down as none: it is refused there, and stops no other."""
    if row["pin"] is None:
        return None
    try:
        return INSTRUCTION_PIN.open(keyring, (row["tenant_id"], row["request_id"]), row["pin"])
    except Undecipherable as error:
        log.error("pin_unreadable", instruction_id=str(row["request_id"]), reason=str(error))
        return None
