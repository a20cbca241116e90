"""Templates: outlines with a name; and the outline of a machine that works, to make others like it."""

from datetime import datetime
from itertools import chain, count
from typing import Literal
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.catalog import service as catalog
from cloud.clock import new_id
from cloud.conditional import Precondition
from cloud.configuration.service import settings_of
from cloud.database import Row, Transaction
from cloud.devices.service import DeviceQuery, DeviceRow, device_page, wirings
from cloud.encryption.keyring import Keyring
from cloud.errors import Refused, there
from cloud.lists import PageQuery, read_page
from cloud.templates.models import TEMPLATES, TemplatePage
from cloud.templates.rules import (
    MOST_DEVICES,
    MOST_SLOTS,
    MachineOutline,
    OutlineDevice,
    OutlineSlot,
    TemplateEdit,
    TemplateLine,
    TemplateRow,
    TemplateWish,
    Wiring,
)
from cloud.web import invalid
from shared.errors import Code

_ROOM = 116
"""Of a name, with room for a number."""
_ONE = "SELECT id AS template_id, name, version, outline FROM machine_templates WHERE id = $1"
_TAKEN = "SELECT 1 FROM machine_templates WHERE name = $1 AND id <> $2"
_LOCK_NAMES = "SELECT pg_advisory_xact_lock(hashtextextended('templates ' || current_setting('app.tenant'), 0))"
_ADD = "INSERT INTO machine_templates (tenant_id, id, name, outline, created_at) VALUES ($1, $2, $3, $4, $5)"
_EDIT = "UPDATE machine_templates SET name = $2, outline = $3, version = version + 1 WHERE id = $1"
_DELETE = "DELETE FROM machine_templates WHERE id = $1"


class TemplateQuery(PageQuery):
    """Templates by name."""

    row = TemplateLine

    sort: Literal["name", "-name"] = "name"


async def outline_of(transaction: Transaction, keyring: Keyring, machine_id: UUID) -> MachineOutline:
    """Inside a unit of the tenant: what a machine is made of now; nothing lies in its slots.

    Raises NotFound, Refused (409) for one that is larger than an outline can be.
    """
    found = await catalog.machine(machine_id)
    planned = await catalog.in_force(transaction, found.site_id, machine_id)
    page = await device_page(transaction, DeviceQuery(machine_id=machine_id, limit=MOST_DEVICES + 1))
    if len(page.devices) > MOST_DEVICES or len(planned) > MOST_SLOTS:
        told = f"Only machines of {MOST_DEVICES} devices and {MOST_SLOTS} slots at most can be copied."
        raise Refused(Code.CONFLICT, told, status=409)
    names, meant = _told_apart(page.devices), await wirings(transaction, machine_id)
    devices = []
    for device in page.devices:
        wiring = await _wiring(transaction, keyring, device.device_id)
        if wiring is None and device.device_id in meant:  # it has no settings yet
            wiring = Wiring.model_validate_json(meant[device.device_id])
        devices.append(OutlineDevice(name=names[device.device_id], wiring=wiring))
    slots = [
        OutlineSlot(
            slot=slot.slot,
            device=names[slot.device_id],
            product_id=slot.product_id,
            price_minor=slot.price_minor,
            capacity=slot.capacity,
            par_level=slot.par_level,
        )
        for slot in planned
        if slot.device_id in names
    ]
    return MachineOutline(rail=found.rail, devices=tuple(devices), slots=tuple(slots))


async def template_page(transaction: Transaction, query: TemplateQuery) -> TemplatePage:
    """The templates that are asked for. Raises Refused for a cursor that is not theirs."""
    return await read_page(transaction, TEMPLATES, query)


async def template(transaction: Transaction, template_id: UUID) -> TemplateRow:
    """One template. Raises NotFound."""
    return _row(there(await transaction.fetch_one(_ONE, template_id)))


async def add_template(
    transaction: Transaction, operator: Operator, keyring: Keyring, wish: TemplateWish, now: datetime
) -> TemplateRow:
    """Inside a unit of the tenant. Raises NotFound, Refused (409 for a name that is taken, 422)."""
    if (wish.outline is None) is (wish.machine_id is None):
        raise invalid("outline", "Give an outline or the machine to be like.")
    outline = wish.outline
    if wish.machine_id is not None:
        outline = await outline_of(transaction, keyring, wish.machine_id)
    assert outline is not None  # noqa: S101  one of both
    template_id = new_id()
    await _require_free(transaction, wish.name, template_id)
    await transaction.execute(_ADD, operator.tenant_id, template_id, wish.name, outline.model_dump_json(), now)
    return await _changed(transaction, operator, AuditAction.TEMPLATE_CREATED, template_id)


async def edit_template(
    transaction: Transaction, operator: Operator, template_id: UUID, edit: TemplateEdit, expected: Precondition
) -> TemplateRow:
    """Inside a unit of the tenant. Raises NotFound, Refused (409, 412)."""
    was = _row(there(await transaction.fetch_one(_ONE + " FOR UPDATE", template_id)))
    expected.require(was)
    name, outline = edit.name or was.name, edit.outline or was.outline
    await _require_free(transaction, name, template_id)
    await transaction.execute(_EDIT, template_id, name, outline.model_dump_json())
    return await _changed(transaction, operator, AuditAction.TEMPLATE_CHANGED, template_id)


async def delete_template(transaction: Transaction, operator: Operator, template_id: UUID) -> None:
    """Inside a unit of the tenant: machines made by it stay as they are. Raises NotFound."""
    was = _row(there(await transaction.fetch_one(_ONE + " FOR UPDATE", template_id)))
    await transaction.execute(_DELETE, template_id)
    about, told = Subject(SubjectKind.TEMPLATE, template_id), {"name": was.name}
    deed = AuditAction.TEMPLATE_DELETED
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, before=told)


async def _require_free(transaction: Transaction, name: str, template_id: UUID) -> None:
    await transaction.execute(_LOCK_NAMES)
    if await transaction.fetch_one(_TAKEN, name, template_id) is not None:
        raise Refused(Code.CONFLICT, f"There is a template {name} already.", status=409)


async def _changed(transaction: Transaction, operator: Operator, deed: AuditAction, template_id: UUID) -> TemplateRow:
    now = await template(transaction, template_id)
    about, told = Subject(SubjectKind.TEMPLATE, template_id), {"name": now.name, "version": now.version}
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, after=told)
    return now


async def _wiring(transaction: Transaction, keyring: Keyring, device_id: UUID) -> Wiring | None:
    wanted = (await settings_of(transaction, keyring, device_id)).wanted
    if wanted is None:
        return None
    return Wiring(**{name: value for name, value in wanted.settings.items() if name in Wiring.model_fields})


def _told_apart(devices: tuple[DeviceRow, ...]) -> dict[UUID, str]:
    """Their names; of those that share one, all but the first with a number."""
    names: dict[UUID, str] = {}
    for device in devices:
        numbered = (f"{device.name[:_ROOM]} ({number})" for number in count(2))
        free = (name for name in chain([device.name], numbered) if name not in names.values())
        names[device.device_id] = next(free)
    return names


def _row(found: Row) -> TemplateRow:
    return TemplateRow(**{**found, "outline": MachineOutline.model_validate_json(found["outline"])})
