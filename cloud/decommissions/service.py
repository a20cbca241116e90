"""Decommissions: begun and called off by people; how far they are is read from the ledger."""

from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth.service import positions
from cloud.callers import Operator
from cloud.catalog import service as catalog
from cloud.catalog.rules import MachineState
from cloud.clock import new_id
from cloud.database import Row, Transaction
from cloud.decommissions.models import BlockerRow, DecommissionRow, DecommissionWish
from cloud.decommissions.rules import Blocker, SeenDrain, blockers
from cloud.errors import NotFound, Refused
from shared.catalog import MachineStopped
from shared.errors import Code
from shared.sync import FACT

_LOCK = "SELECT id FROM machines WHERE id = $1 FOR UPDATE"
_ADD = """
    INSERT INTO decommissions (tenant_id, id, machine_id, machine_version, reason, begun_by, begun_at)
    VALUES ($1, $2, $3, $4, $5, $6, now())
"""
_CALL_OFF = "UPDATE decommissions SET called_off_by = $2, called_off_at = now() WHERE id = $1"
_NEWEST = """
    SELECT d.id, d.machine_id, d.machine_version, d.reason, k.name AS begun_by, d.begun_at, d.called_off_at
    FROM decommissions d JOIN actors k ON k.tenant_id = d.tenant_id AND k.id = d.begun_by
    WHERE d.machine_id = $1 ORDER BY d.begun_at DESC, d.id DESC LIMIT 1
"""
_GATEWAYS = """
    SELECT g.id, g.epoch, g.revoked_at FROM gateways g JOIN machines m
        ON m.tenant_id = g.tenant_id AND m.site_id = g.site_id
    WHERE m.id = $1 AND g.claimed_at IS NOT NULL
"""
_STOPPED = """
    SELECT line FROM facts
    WHERE gateway_id = $1 AND epoch = $2 AND received_at >= $3 AND event = 'machine_stopped'
        AND position($4::bytea IN line) > 0
    ORDER BY seq DESC LIMIT 1
"""
_OPEN_ORDERS = """
    SELECT count(*) FROM orders
    WHERE machine_id = $1 AND state IN ('placed', 'authorised', 'dispensing') AND state <> 'settled'
"""
_OPEN_PAYMENTS = """
    SELECT count(*) FROM orders o JOIN payments p ON p.tenant_id = o.tenant_id AND p.order_id = o.id
    WHERE o.machine_id = $1 AND p.state IN ('pending', 'authorised')
"""


async def begin(
    transaction: Transaction, operator: Operator, machine_id: UUID, wish: DecommissionWish
) -> DecommissionRow:
    """Inside a unit of the tenant: the machine takes no new orders from when its gateway hears of it.

    Raises NotFound, Refused (409) while it leaves already.
    """
    await _lock(transaction, machine_id)
    row = await transaction.fetch_one(_NEWEST, machine_id)
    if row is not None and row["called_off_at"] is None:
        raise Refused(Code.CONFLICT, "The machine is being decommissioned already.", status=409)
    version = await catalog.set_state(transaction, operator.tenant_id, machine_id, MachineState.DRAINING)
    begun = (new_id(), machine_id, version, wish.reason, operator.actor.id)
    await transaction.execute(_ADD, operator.tenant_id, *begun)
    await _audit(transaction, operator, AuditAction.DECOMMISSION_BEGUN, machine_id, wish.reason)
    return await of_machine(transaction, machine_id)


async def call_off(transaction: Transaction, operator: Operator, machine_id: UUID) -> DecommissionRow:
    """Inside a unit of the tenant: the machine sells again, unless it is out of service for other reasons.

    Raises NotFound, Refused (409) when it is not leaving.
    """
    await _lock(transaction, machine_id)
    row = await _newest(transaction, machine_id)
    if row["called_off_at"] is not None:
        raise Refused(Code.CONFLICT, "This was called off already.", status=409)
    await transaction.execute(_CALL_OFF, row["id"], operator.actor.id)
    await catalog.set_state(transaction, operator.tenant_id, machine_id, MachineState.SELLING)
    await _audit(transaction, operator, AuditAction.DECOMMISSION_CALLED_OFF, machine_id, row["reason"])
    return await of_machine(transaction, machine_id)


async def of_machine(transaction: Transaction, machine_id: UUID) -> DecommissionRow:
    """Inside a unit of the tenant: the machine's newest one as it stands now. Raises NotFound."""
    row = await _newest(transaction, machine_id)
    is_open = row["called_off_at"] is None
    left = await undrained(transaction, machine_id, row["machine_version"], row["begun_at"]) if is_open else ()
    return DecommissionRow(
        decommission_id=row["id"],
        machine_id=machine_id,
        reason=row["reason"],
        begun_by=row["begun_by"],
        begun_at=row["begun_at"],
        called_off_at=row["called_off_at"],
        blockers=tuple(BlockerRow(**vars(blocker)) for blocker in left),
    )


async def undrained(transaction: Transaction, machine_id: UUID, version: int, since: datetime) -> tuple[Blocker, ...]:
    """Inside a unit of the tenant: why a machine is not drained, settled and equal on both sides; empty when it is.

    It was told `since` then to sell nothing from this version on. Read from the ledger, so that nothing that comes late
    is overlooked: a gateway that was restored since has to tell again, and one that was revoked cannot tell any more.
    """
    gateways = await transaction.fetch(_GATEWAYS, machine_id)
    marks = [mark for row in gateways for mark in await positions(transaction, row["id"])]
    working = [row for row in gateways if row["revoked_at"] is None]
    stopped = [await _has_stopped(transaction, row, machine_id, version, since) for row in working]
    return blockers(
        SeenDrain(
            has_stopped=bool(stopped) and all(stopped),
            open_orders=await _count(transaction, _OPEN_ORDERS, machine_id),
            open_payments=await _count(transaction, _OPEN_PAYMENTS, machine_id),
            dead_letters=sum(mark.dead_letters for mark in marks),
            conflicts=sum(mark.conflicts for mark in marks),
        )
    )


async def _has_stopped(transaction: Transaction, gateway: Row, machine_id: UUID, version: int, since: datetime) -> bool:
    about = str(machine_id).encode()
    row = await transaction.fetch_one(_STOPPED, gateway["id"], gateway["epoch"], since, about)
    try:
        told = None if row is None else FACT.validate_json(row["line"]).body
    except ValidationError:
        return False  # a dead letter
    return isinstance(told, MachineStopped) and told.version >= version


async def _count(transaction: Transaction, sql: str, machine_id: UUID) -> int:
    row = await transaction.fetch_one(sql, machine_id)
    return 0 if row is None else int(row["count"])


async def _lock(transaction: Transaction, machine_id: UUID) -> None:
    if await transaction.fetch_one(_LOCK, machine_id) is None:
        raise NotFound


async def _newest(transaction: Transaction, machine_id: UUID) -> Row:
    row = await transaction.fetch_one(_NEWEST, machine_id)
    if row is None:
        raise NotFound
    return row


async def _audit(
    transaction: Transaction, operator: Operator, deed: AuditAction, machine_id: UUID, reason: str
) -> None:
    about, told = Subject(SubjectKind.MACHINE, machine_id), {"reason": reason}
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, after=told)
