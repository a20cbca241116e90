"""Setups: kept step by step, so that nothing is lost on the way; then done at once, or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.catalog import service as catalog
from cloud.clock import Clock, new_id
from cloud.conditional import Precondition
from cloud.database import Row, Transaction
from cloud.devices import service as devices
from cloud.devices.service import DeviceToBe
from cloud.encryption.columns import SETUP_DRAFT
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused, there
from cloud.inventory import service as inventory
from cloud.lists import PageQuery, read_page
from cloud.onboarding import service as onboarding
from cloud.onboarding.service import NewSite as SiteToBe
from cloud.setups.models import SETUPS, SetupPage
from cloud.setups.rules import (
    MOST_MACHINES,
    AddMachine,
    Draft,
    DraftMachine,
    Known,
    KnownSite,
    MachineWish,
    NewSite,
    SetupEdit,
    SetupLine,
    SetupRow,
    SetupState,
    SetupWish,
    review,
)
from cloud.templates.rules import MachineOutline
from cloud.templates.service import outline_of, template
from cloud.web import invalid
from shared.catalog import PlanogramSlot
from shared.errors import Code
from shared.inventory import Reason

MOST_OPEN = 200
_STEPS = ("site", "gateway_name", "gateway_address", "wifi")

_ONE = """
    SELECT s.tenant_id, s.id AS setup_id, s.name, s.state, s.draft, s.site_id, s.gateway_id, k.name AS created_by,
           s.created_at, s.changed_at, s.finished_at
    FROM setups s JOIN actors k ON k.tenant_id = s.tenant_id AND k.id = s.made_by WHERE s.id = $1
"""
_LOCKED = _ONE + " FOR UPDATE OF s"
_OPEN = "SELECT count(*) AS found FROM setups WHERE state = 'open'"
_ADD = """
    INSERT INTO setups (tenant_id, id, name, state, draft, made_by, created_at, changed_at)
    VALUES ($1, $2, $3, 'open', $4, $5, $6, $6)
"""
_KEEP = "UPDATE setups SET name = $2, draft = $3, changed_at = $4 WHERE id = $1"
_FINISH = """
    UPDATE setups SET state = 'finished', site_id = $2, gateway_id = $3, finished_at = $4, changed_at = $4 WHERE id = $1
"""
_DELETE = "DELETE FROM setups WHERE id = $1"
_SITES = """
    SELECT s.id, s.currency, g.id IS NOT NULL AS has_gateway FROM sites s
    LEFT JOIN gateways g ON g.tenant_id = s.tenant_id AND g.site_id = s.id WHERE s.id = ANY($1::uuid[])
"""
_PRODUCTS = "SELECT id FROM products WHERE id = ANY($1::uuid[])"


class SetupQuery(PageQuery):
    """Setups, the newest first."""

    row = SetupLine

    state: SetupState | None = None


class SetupService:
    """Looks after a tenant's setups. All inside a unit of the operator's."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock

    async def page(self, transaction: Transaction, query: SetupQuery) -> SetupPage:
        """The setups that are asked for. Raises Refused for a cursor that is not theirs."""
        return await read_page(transaction, SETUPS, query)

    async def one(self, transaction: Transaction, setup_id: UUID) -> SetupRow:
        """One of them. Raises NotFound."""
        return await self._shown(transaction, there(await transaction.fetch_one(_ONE, setup_id)))

    async def begin(self, transaction: Transaction, operator: Operator, wish: SetupWish) -> SetupRow:
        """An empty one. Raises Refused (409) when too many are open."""
        found = await transaction.fetch_one(_OPEN)
        if found is not None and found["found"] >= MOST_OPEN:
            raise Refused(Code.CONFLICT, f"{MOST_OPEN} setups are open: finish or delete one first.", status=409)
        setup_id = new_id()
        sealed = self._sealed(operator.tenant_id, setup_id, Draft())
        kept = (wish.name, sealed, operator.actor.id, self._clock.now())
        await transaction.execute(_ADD, operator.tenant_id, setup_id, *kept)
        await self._audit(transaction, operator, AuditAction.SETUP_BEGUN, setup_id, {"name": wish.name})
        return await self.one(transaction, setup_id)

    async def edit(
        self, transaction: Transaction, operator: Operator, setup_id: UUID, edit: SetupEdit, expected: Precondition
    ) -> SetupRow:
        """Steps as they shall be. Raises NotFound, Refused (409 once it is finished, 412, 422)."""
        row, draft = await self._open(transaction, setup_id, expected)
        given = {name: getattr(edit, name) for name in _STEPS if name in edit.model_fields_set}
        if edit.machines is not None:
            given["machines"] = _settled(edit.machines, draft.machines)
        return await self._keep(transaction, operator, row, draft, given, edit.name)

    async def add_machine(
        self, transaction: Transaction, operator: Operator, setup_id: UUID, wish: AddMachine, expected: Precondition
    ) -> SetupRow:
        """One machine more. Raises NotFound, Refused (409, 412, 422)."""
        if wish.template_id is not None and wish.machine_id is not None:
            raise invalid("template_id", "Choose a template or a machine to be like, not both.")
        row, draft = await self._open(transaction, setup_id, expected)
        if len(draft.machines) >= MOST_MACHINES:
            raise Refused(Code.CONFLICT, f"A setup has {MOST_MACHINES} machines at most.", status=409)
        outline = MachineOutline()
        if wish.template_id is not None:
            outline = (await template(transaction, wish.template_id)).outline
        elif wish.machine_id is not None:
            outline = await outline_of(transaction, self._keyring, wish.machine_id)
        (added,) = _settled([MachineWish(name=wish.name, outline=outline)], ())
        added = added.model_copy(update={"template_id": wish.template_id})
        return await self._keep(transaction, operator, row, draft, {"machines": (*draft.machines, added)})

    async def delete(self, transaction: Transaction, operator: Operator, setup_id: UUID) -> None:
        """An open one, for good. Raises NotFound, Refused (409) for a finished one."""
        row, _ = await self._open(transaction, setup_id, Precondition())
        await transaction.execute(_DELETE, setup_id)
        await self._audit(transaction, operator, AuditAction.SETUP_DELETED, setup_id, {"name": row["name"]})

    async def finish(
        self, transaction: Transaction, operator: Operator, setup_id: UUID, expected: Precondition
    ) -> SetupRow:
        """Site, gateway, machines, devices, products, planograms and opening stock: all of it or nothing.

        A finished one stays as it is. Raises NotFound, Refused (412, and 422 with all that is missing).
        """
        row = there(await transaction.fetch_one(_LOCKED, setup_id))
        if row["state"] == SetupState.FINISHED:
            return await self._shown(transaction, row)
        expected.require(await self._shown(transaction, row))
        draft, now = self._draft(row), self._clock.now()
        problems = review(draft, await _known(transaction, draft))
        if problems:
            raise Refused(Code.VALIDATION_FAILED, "Something is still missing.", errors=tuple(problems))
        made = await _make(transaction, operator, draft, now)
        await transaction.execute(_FINISH, setup_id, made.site_id, made.gateway_id, now)
        told = {
            "site_id": str(made.site_id),
            "gateway_id": str(made.gateway_id),
            "machines": [str(machine.machine_id) for machine in draft.machines],
            "products": {name: str(product_id) for name, product_id in made.products.items()},
        }
        await self._audit(transaction, operator, AuditAction.SETUP_FINISHED, setup_id, told)
        return await self.one(transaction, setup_id)

    async def finished(
        self, transaction: Transaction, setup_id: UUID, *, is_locked: bool = False
    ) -> tuple[SetupRow, Draft]:
        """A finished one with all that was entered; `is_locked`: nobody else has it so until the end of the unit.

        Raises NotFound, Refused (409) while it is open.
        """
        row = there(await transaction.fetch_one(_LOCKED if is_locked else _ONE, setup_id))
        if row["state"] != SetupState.FINISHED:
            raise Refused(Code.CONFLICT, "This setup is not finished yet.", status=409)
        return await self._shown(transaction, row), self._draft(row)

    async def _open(self, transaction: Transaction, setup_id: UUID, expected: Precondition) -> tuple[Row, Draft]:
        row = there(await transaction.fetch_one(_LOCKED, setup_id))
        expected.require(await self._shown(transaction, row))
        if row["state"] == SetupState.FINISHED:
            raise Refused(Code.CONFLICT, "This setup is finished. Begin another.", status=409)
        return row, self._draft(row)

    async def _keep(
        self,
        transaction: Transaction,
        operator: Operator,
        row: Row,
        before: Draft,
        given: Mapping[str, object],
        name: str | None = None,
    ) -> SetupRow:
        """The draft with what is given. Of that the log says what it is, not what it says: a password may be in it."""
        sealed = self._sealed(row["tenant_id"], row["setup_id"], before.model_copy(update=given))
        changed = sorted(step for step, value in given.items() if value != getattr(before, step))
        changed += ["name"] if name is not None and name != row["name"] else []
        await transaction.execute(_KEEP, row["setup_id"], name or row["name"], sealed, self._clock.now())
        if changed:
            told = {"changed": changed}
            await self._audit(transaction, operator, AuditAction.SETUP_CHANGED, row["setup_id"], told)
        return await self.one(transaction, row["setup_id"])

    async def _shown(self, transaction: Transaction, row: Row) -> SetupRow:
        draft = self._draft(row)
        is_open = row["state"] == SetupState.OPEN
        problems = review(draft, await _known(transaction, draft)) if is_open else []
        return SetupRow(
            setup_id=row["setup_id"],
            name=row["name"],
            state=SetupState(row["state"]),
            site_id=row["site_id"],
            gateway_id=row["gateway_id"],
            created_by=row["created_by"],
            created_at=row["created_at"],
            changed_at=row["changed_at"],
            finished_at=row["finished_at"],
            site=draft.site,
            gateway_name=draft.gateway_name,
            gateway_address=draft.gateway_address,
            wifi_ssid=draft.wifi.ssid if draft.wifi else None,
            machines=draft.machines,
            problems=tuple(problems),
        )

    def _draft(self, row: Row) -> Draft:
        return Draft.model_validate_json(
            SETUP_DRAFT.open(self._keyring, (row["tenant_id"], row["setup_id"]), row["draft"])
        )

    def _sealed(self, tenant_id: UUID, setup_id: UUID, draft: Draft) -> str:
        return SETUP_DRAFT.seal(self._keyring, (tenant_id, setup_id), draft.model_dump_json())

    async def _audit(
        self,
        transaction: Transaction,
        operator: Operator,
        deed: AuditAction,
        setup_id: UUID,
        told: Mapping[str, object],
    ) -> None:
        about = Subject(SubjectKind.SETUP, setup_id)
        await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, after=told)


async def _known(transaction: Transaction, draft: Draft) -> Known:
    sites = [draft.site.site_id] if draft.site and draft.site.site_id else []
    products = {slot.product_id for machine in draft.machines for slot in machine.outline.slots if slot.product_id}
    return Known(
        sites={
            row["id"]: KnownSite(row["currency"], row["has_gateway"]) for row in await transaction.fetch(_SITES, sites)
        },
        products=frozenset(row["id"] for row in await transaction.fetch(_PRODUCTS, list(products))),
    )


def _settled(wishes: Sequence[MachineWish], before: Sequence[DraftMachine]) -> tuple[DraftMachine, ...]:
    """The machines that are wished for: those that were there keep their ids and their devices', the others get theirs.

    Raises Refused for a machine that is not in the setup, or there twice.
    """
    known = {machine.machine_id: machine for machine in before}
    settled: list[DraftMachine] = []
    for place, wish in enumerate(wishes):
        was = known.pop(wish.machine_id, None) if wish.machine_id is not None else None
        if wish.machine_id is not None and was is None:
            raise invalid(f"machines.{place}.machine_id", "The setup has no such machine, or it is here twice.")
        ids = was.device_ids if was is not None else {}
        settled.append(
            DraftMachine(
                machine_id=was.machine_id if was is not None else new_id(),
                name=wish.name,
                outline=wish.outline,
                device_ids={device.name: ids.get(device.name) or new_id() for device in wish.outline.devices},
                template_id=was.template_id if was is not None else None,
            )
        )
    return tuple(settled)


@dataclass(frozen=True)
class _Made:
    """Where the machines stand now."""

    site_id: UUID
    gateway_id: UUID
    products: Mapping[str, UUID]
    """Those that are new, by name."""


async def _make(transaction: Transaction, operator: Operator, draft: Draft, now: datetime) -> _Made:
    """All of it; `review` has found nothing missing."""
    assert draft.site is not None  # noqa: S101  reviewed
    names = {slot.product_name for machine in draft.machines for slot in machine.outline.slots if slot.product_name}
    made = await catalog.add_products(transaction, operator.tenant_id, names)
    products = await catalog.products_called(names)
    site_id = draft.site.site_id
    if draft.site.new is not None:
        site_id = await onboarding.add_site(transaction, operator, _site(draft.site.new))
    assert site_id is not None  # noqa: S101  reviewed
    gateway_id = await onboarding.gateway_of(transaction, operator, site_id, draft.gateway_name)
    for machine in draft.machines:
        await _make_machine(transaction, operator.tenant_id, site_id, machine, products, now)
    return _Made(site_id, gateway_id, made)


def _site(new: NewSite) -> SiteToBe:
    name, currency, time_zone = new.name, new.currency, new.time_zone
    assert name and currency and time_zone  # noqa: S101, PT018  reviewed
    return SiteToBe(name, new.address, new.latitude, new.longitude, currency, time_zone, new.tax_basis_points)


async def _make_machine(
    transaction: Transaction,
    tenant_id: UUID,
    site_id: UUID,
    machine: DraftMachine,
    products: Mapping[str, UUID],
    now: datetime,
) -> None:
    """`products`: those that its slots name, by name."""
    machine_id, outline = machine.machine_id, machine.outline
    await catalog.create_machine(transaction, tenant_id, site_id, machine.name, outline.rail, machine_id)
    wanted = [
        DeviceToBe(
            device_id=machine.device_ids[device.name],
            name=device.name,
            wiring=device.wiring.model_dump_json() if device.wiring is not None else None,
        )
        for device in outline.devices
    ]
    await devices.expect_devices(transaction, tenant_id, site_id, machine_id, wanted, now)
    slots = [
        PlanogramSlot(
            slot=slot.slot,
            product_id=slot.product_id or products[slot.product_name or ""],
            device_id=machine.device_ids[slot.device],
            price_minor=slot.price_minor,
            capacity=slot.capacity,
            par_level=slot.par_level,
        )
        for slot in outline.slots
    ]
    await catalog.publish_planogram(transaction, tenant_id, machine_id, now, slots)
    opening = [(slot.slot, slot.opening, Reason.OPENING) for slot in outline.slots if slot.opening]
    if opening:
        await inventory.instruct(transaction, tenant_id, site_id, machine_id, opening)
