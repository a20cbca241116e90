"""Checklists, read from what gateway and devices told; reports, signed and kept with each machine."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.auth.service import positions
from cloud.callers import Operator
from cloud.clock import Clock
from cloud.commissioning.models import (
    Checklist,
    CheckRow,
    Report,
    Reports,
    ReportText,
    ReportWish,
    Skipped,
)
from cloud.commissioning.rules import (
    CheckState,
    Finding,
    SeenDevice,
    SeenGateway,
    SeenMachine,
    SeenTurn,
    findings,
)
from cloud.configuration.rules import SignedReport
from cloud.configuration.service import SettingsSigner
from cloud.database import Row, Transaction
from cloud.errors import NotFound, Refused
from cloud.setups.rules import DraftMachine
from cloud.setups.service import SetupService
from cloud.web import invalid
from shared.contract import ClockQuality
from shared.devices import Evidence
from shared.errors import Code, FieldError
from shared.sync import FACT
from shared.upkeep import RequestState

_CLAIMED = "SELECT claimed_at FROM gateways WHERE id = $1"
_NEWEST_FACT = """
    SELECT f.line FROM facts f JOIN gateways g
        ON g.tenant_id = f.tenant_id AND g.id = f.gateway_id AND g.epoch = f.epoch AND g.seq = f.seq
    WHERE g.id = $1
"""
_DEVICES = """
    SELECT d.id, d.claimed_at, d.online, d.link_changed_at, h.rssi_dbm FROM devices d
    LEFT JOIN device_health h ON h.tenant_id = d.tenant_id AND h.device_id = d.id WHERE d.id = ANY($1::uuid[])
"""
_JOGS = """
    SELECT DISTINCT ON (i.device_id, i.slot) d.machine_id, i.slot, i.state, i.reason, i.evidence, i.ended_at
    FROM device_instructions i JOIN devices d ON d.tenant_id = i.tenant_id AND d.id = i.device_id
    WHERE i.device_id = ANY($1::uuid[]) AND i.action = 'jog' AND i.ended_at IS NOT NULL
    ORDER BY i.device_id, i.slot, i.ended_at DESC
"""
_SALES = """
    SELECT DISTINCT ON (o.machine_id, v.slot) o.machine_id, v.slot, v.resolved_at
    FROM unnest($1::uuid[]) AS m (id) CROSS JOIN LATERAL (
        SELECT n.tenant_id, n.id, n.machine_id FROM orders n
        WHERE n.machine_id = m.id ORDER BY n.placed_at DESC, n.id DESC LIMIT 2000) o
    CROSS JOIN LATERAL (
        SELECT w.slot, w.resolved_at FROM vends w
        WHERE w.tenant_id = o.tenant_id AND w.order_id = o.id AND w.outcome = 'dispensed' OFFSET 0) v
    ORDER BY o.machine_id, v.slot, v.resolved_at DESC
"""
"""Of a machine's newest orders: one that has sold for years is asked, too, for as long as somebody looks."""
_CREDITS = "SELECT machine_id, min(at) AS at FROM credits WHERE machine_id = ANY($1::uuid[]) GROUP BY machine_id"
_KEEP = """
    INSERT INTO commissioning_reports (tenant_id, machine_id, setup_id, signed, made_by, made_at)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
_REPORTS = """
    SELECT r.machine_id, r.setup_id, r.signed, k.name AS made_by, r.made_at FROM commissioning_reports r
    JOIN actors k ON k.tenant_id = r.tenant_id AND k.id = r.made_by
"""
_OF_SETUP = _REPORTS + " WHERE r.setup_id = $1 ORDER BY r.machine_id"
_OF_MACHINE = _REPORTS + " WHERE r.machine_id = $1"


class CommissioningService:
    """Says how far new machines are, and reports when they are there. Without a `signer` no report is made."""

    def __init__(self, setups: SetupService, signer: SettingsSigner | None, clock: Clock) -> None:
        self._setups = setups
        self._signer = signer
        self._clock = clock

    async def checklist(self, transaction: Transaction, setup_id: UUID) -> Checklist:
        """Inside a unit of the tenant: as it stands now. Raises NotFound, Refused (409) while the setup is open."""
        found, _ = await self._findings(transaction, setup_id)
        reports = await transaction.fetch(_OF_SETUP, setup_id)
        return Checklist(
            setup_id=setup_id,
            checks=tuple(_row(one) for one in found),
            passed=sum(one.state is CheckState.PASSED for one in found),
            reported_at=reports[0]["made_at"] if reports else None,
        )

    async def report(self, transaction: Transaction, operator: Operator, setup_id: UUID, wish: ReportWish) -> Reports:
        """Inside a unit of the tenant: one a machine, kept with it; made once.

        Raises NotFound, Refused (409, and 422 with the checks that have neither passed nor are answered for).
        """
        if self._signer is None:
            told = "This cloud has no key to sign reports with: LARDER_CLOUD_SETTINGS_KEY_FILE names none."
            raise Refused(Code.SETTINGS_KEY_MISSING, told, status=409)
        found, machines = await self._findings(transaction, setup_id, is_locked=True)
        if await transaction.fetch(_OF_SETUP, setup_id):
            raise Refused(Code.CONFLICT, "The report is made already.", status=409)
        _require_answered(found, wish)
        now = self._clock.now()
        for machine in machines:
            signed = self._signer.sign_report(_text(machine, setup_id, found, wish, operator, now))
            kept = (machine.machine_id, setup_id, signed.model_dump_json(), operator.actor.id, now)
            await transaction.execute(_KEEP, operator.tenant_id, *kept)
        about, skipped = Subject(SubjectKind.SETUP, setup_id), {"skipped": [one.name for one in wish.skipped]}
        deed = AuditAction.COMMISSIONING_REPORTED
        await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, after=skipped)
        return Reports(reports=tuple(_report(row) for row in await transaction.fetch(_OF_SETUP, setup_id)))

    async def report_anyway(self, transaction: Transaction, operator: Operator, setup_id: UUID, reason: str) -> Reports:
        """As `report`; what has not passed is skipped for this one reason. Raises Refused (422) without a good one."""
        found, _ = await self._findings(transaction, setup_id)
        left = [one.name for one in found if one.state is not CheckState.PASSED]
        try:
            wish = ReportWish(skipped=tuple(Skipped(name=name, reason=reason) for name in left))
        except ValidationError:
            raise invalid("reason", "Say why, in 300 characters at most.") from None
        return await self.report(transaction, operator, setup_id, wish)

    async def report_of(self, transaction: Transaction, machine_id: UUID) -> Report:
        """Inside a unit of the tenant: that of a machine. Raises NotFound."""
        row = await transaction.fetch_one(_OF_MACHINE, machine_id)
        if row is None:
            raise NotFound
        return _report(row)

    async def _findings(
        self, transaction: Transaction, setup_id: UUID, *, is_locked: bool = False
    ) -> tuple[list[Finding], tuple[DraftMachine, ...]]:
        row, draft = await self._setups.finished(transaction, setup_id, is_locked=is_locked)
        assert row.gateway_id is not None  # noqa: S101  finished
        gateway = await _gateway(transaction, row.gateway_id)
        return findings(gateway, await _machines(transaction, draft.machines)), draft.machines


async def _gateway(transaction: Transaction, gateway_id: UUID) -> SeenGateway:
    claimed = await transaction.fetch_one(_CLAIMED, gateway_id)
    (position,) = await positions(transaction, gateway_id)
    return SeenGateway(
        claimed_at=claimed["claimed_at"] if claimed else None,
        clock=await _clock(transaction, gateway_id),
        acknowledged_at=position.acknowledged_at,
        dead_letters=position.dead_letters,
        conflicts=position.conflicts,
    )


async def _clock(transaction: Transaction, gateway_id: UUID) -> ClockQuality | None:
    row = await transaction.fetch_one(_NEWEST_FACT, gateway_id)
    try:
        return FACT.validate_json(row["line"]).clock if row else None
    except ValidationError:
        return None  # of a newer gateway, or a dead letter: the next fact will tell


async def _machines(transaction: Transaction, machines: Sequence[DraftMachine]) -> list[SeenMachine]:
    ids = [machine.machine_id for machine in machines]
    device_ids = [device_id for machine in machines for device_id in machine.device_ids.values()]
    devices = {row["id"]: row for row in await transaction.fetch(_DEVICES, device_ids)}
    turns = await _turns(transaction, ids, device_ids)
    credits_ = {row["machine_id"]: row["at"] for row in await transaction.fetch(_CREDITS, ids)}
    return [
        SeenMachine(
            machine_id=machine.machine_id,
            name=machine.name,
            rail=machine.outline.rail,
            devices=[_device(name, devices.get(device_id)) for name, device_id in machine.device_ids.items()],
            turns={slot.slot: turns.get((machine.machine_id, slot.slot)) for slot in machine.outline.slots},
            credit_at=credits_.get(machine.machine_id),
        )
        for machine in machines
    ]


async def _turns(
    transaction: Transaction, machines: Sequence[UUID], devices: Sequence[UUID]
) -> Mapping[tuple[UUID, str], SeenTurn]:
    """The newest of each slot. A sale counts as much as a test."""
    found = {
        (row["machine_id"], row["slot"]): SeenTurn(
            RequestState(row["state"]), row["reason"], _evidence(row["evidence"]), row["ended_at"]
        )
        for row in await transaction.fetch(_JOGS, devices)
    }
    for row in await transaction.fetch(_SALES, machines):
        sold = SeenTurn(RequestState.DONE, None, None, row["resolved_at"], sold=True)
        tested = found.get((row["machine_id"], row["slot"]))
        if tested is None or tested.at < sold.at:
            found[row["machine_id"], row["slot"]] = sold
    return found


def _evidence(text: str | None) -> Evidence | None:
    return None if text is None else Evidence.model_validate_json(text)


def _device(name: str, row: Row | None) -> SeenDevice:
    if row is None:
        return SeenDevice(name, None, online=False, rssi_dbm=None, changed_at=None)
    return SeenDevice(name, row["claimed_at"], row["online"], row["rssi_dbm"], row["link_changed_at"])


def _require_answered(found: Sequence[Finding], wish: ReportWish) -> None:
    answered = {one.name for one in wish.skipped}
    wrong = [
        FieldError(path="checks", message=f"{one.name}: {one.told}")
        for one in found
        if one.state is not CheckState.PASSED and one.name not in answered
    ]
    wrong += [
        FieldError(path=f"skipped.{place}.name", message="There is no such check.")
        for place, one in enumerate(wish.skipped)
        if one.name not in {finding.name for finding in found}
    ]
    if wrong:
        raise Refused(Code.VALIDATION_FAILED, "Not all checks have passed.", errors=tuple(wrong))


def _text(
    machine: DraftMachine,
    setup_id: UUID,
    found: Sequence[Finding],
    wish: ReportWish,
    operator: Operator,
    now: datetime,
) -> str:
    ours = [one for one in found if one.machine_id in {None, machine.machine_id}]
    names = {one.name for one in ours}
    return ReportText(
        machine_id=machine.machine_id,
        machine_name=machine.name,
        setup_id=setup_id,
        made_by=operator.actor.name,
        made_at=now,
        checks=tuple(_row(one) for one in ours),
        skipped=tuple(one for one in wish.skipped if one.name in names),
    ).model_dump_json()


def _row(one: Finding) -> CheckRow:
    return CheckRow(**vars(one))


def _report(row: Row) -> Report:
    return Report(**{**row, "signed": SignedReport.model_validate_json(row["signed"])})
