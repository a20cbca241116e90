"""Machines, products and planograms: written by people, versioned, and sent down to gateways."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from cloud.audit import service as audit
from cloud.audit.rules import AuditAction, Subject, SubjectKind
from cloud.callers import Operator
from cloud.catalog import models, rules
from cloud.catalog.models import (
    Machine,
    MachineEdit,
    MachinePage,
    MachineRow,
    Planogram,
    PlanogramPage,
    PlanogramQuery,
    PlanogramSlot,
    PlanogramWish,
    Product,
    ProductEdit,
    ProductPage,
    ProductRow,
)
from cloud.catalog.rules import MachineState
from cloud.clock import new_id
from cloud.conditional import ANY, Precondition
from cloud.database import Transaction, columns
from cloud.errors import NotFound, Refused, there
from cloud.lists import PageQuery, read_page
from cloud.onboarding.service import append_changes, currency_of
from shared.catalog import MachineVersion, PlanogramVersion, ProductVersion
from shared.catalog import PlanogramSlot as SlotContent
from shared.contract import Message, Rail
from shared.errors import Code

_SITES_OF_PRODUCTS = """
    SELECT DISTINCT m.site_id FROM planogram_slots s
    JOIN planograms p ON p.tenant_id = s.tenant_id AND p.id = s.planogram_id
    JOIN machines m ON m.tenant_id = p.tenant_id AND m.id = p.machine_id
    WHERE s.product_id = $1
"""
_NAMED = """
    SELECT id, name FROM products WHERE id = ANY($1::uuid[])
    UNION SELECT id, name FROM products WHERE name = ANY($2::text[]) ORDER BY name, id
"""
_LOCK_NAMES = "SELECT pg_advisory_xact_lock(hashtextextended('products ' || current_setting('app.tenant'), 0))"
_ADD_PRODUCTS = """
    INSERT INTO products (tenant_id, id, name) SELECT $1, id, name FROM unnest($2::uuid[], $3::text[]) AS u (id, name)
"""
_ADD_SLOTS = """
    INSERT INTO planogram_slots
        (tenant_id, planogram_id, id, slot, product_id, device_id, price_minor, capacity, par_level)
    SELECT $1, $2, * FROM unnest(
        $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::bigint[], $8::integer[], $9::integer[])
"""
_KNOWN = "SELECT id FROM products WHERE id = ANY($1)"
_DEVICES = "SELECT id FROM devices WHERE machine_id = $1"
_IN_FORCE = """
    SELECT p.id FROM planograms p JOIN machines m ON m.tenant_id = p.tenant_id AND m.id = p.machine_id
    WHERE m.site_id = $1 AND NOT EXISTS (
        SELECT 1 FROM planograms q WHERE q.tenant_id = p.tenant_id AND q.machine_id = p.machine_id
            AND q.version > p.version AND q.effective_at <= now())
"""
_PLACES = """
    SELECT s.id AS site_id, s.name AS site_name, m.id AS machine_id, m.name AS machine_name
    FROM sites s LEFT JOIN machines m ON m.tenant_id = s.tenant_id AND m.site_id = s.id
    ORDER BY s.name, s.id, m.name, m.id LIMIT $1
"""
_CONTENT = ("slot", "product_id", "device_id", "price_minor", "capacity", "par_level")
MOST_PLACES = 500
CATALOGUE = "catalogue"
"""Rung with the tenant when one of its products or machines has changed (cache.py); those who write past us ring by
trigger."""


class ProductQuery(PageQuery):
    """Products by name."""

    row = ProductRow

    sort: Literal["name", "-name"] = "name"


class MachineQuery(PageQuery):
    """Machines by name."""

    row = MachineRow

    site_id: UUID | None = None
    rail: Rail | None = None
    in_service: bool | None = None
    sort: Literal["name", "-name"] = "name"


@dataclass(frozen=True)
class Place:
    """A machine and the site it stands at; of a site without machines just the site."""

    site_id: UUID
    site_name: str
    machine_id: UUID | None
    machine_name: str | None


async def create_machine(
    transaction: Transaction,
    tenant_id: UUID,
    site_id: UUID,
    name: str,
    rail: Rail,
    machine_id: UUID | None = None,
    *,
    in_service: bool = True,
) -> UUID:
    """Inside a unit of the tenant: a new machine at a site, told to its gateway. Returns its id."""
    machine = Machine(id=machine_id or new_id(), tenant_id=tenant_id, site_id=site_id, name=name, rail=rail.value)
    machine.in_service = in_service
    await machine.save()
    await transaction.ring(CATALOGUE, tenant_id)
    await append_changes(transaction, site_id, [_machine_version(machine, await currency_of(site_id))])
    return machine.id


async def create_product(tenant_id: UUID, name: str) -> UUID:
    """Inside a unit of the tenant: a new product. Gateways hear of it with the first planogram that has it."""
    return (await _add_product(tenant_id, name)).product_id


async def add_product(transaction: Transaction, operator: Operator, name: str) -> ProductRow:
    """As `create_product`; returns it as operators see it."""
    added = await _add_product(operator.tenant_id, name)
    await transaction.ring(CATALOGUE, operator.tenant_id)
    about = Subject(SubjectKind.PRODUCT, added.product_id)
    await _audit(transaction, operator, AuditAction.PRODUCT_CREATED, about, None, added)
    return added


async def _add_product(tenant_id: UUID, name: str) -> ProductRow:
    product = Product(id=new_id(), tenant_id=tenant_id, name=name)
    await product.save()
    return _product_row(product)


async def add_products(transaction: Transaction, tenant_id: UUID, names: Collection[str]) -> dict[str, UUID]:
    """Inside a unit of the tenant: the new products of those names of which there is none yet, by name.

    Whoever else adds such names by this waits until the end of the unit, so that there is one of each.
    """
    if not names:
        return {}
    await transaction.execute(_LOCK_NAMES)
    known = await products_called(names)
    made = {name: new_id() for name in names if name not in known}
    if made:
        await transaction.execute(_ADD_PRODUCTS, tenant_id, list(made.values()), list(made))
        await transaction.ring(CATALOGUE, tenant_id)
    return made


async def products_called(names: Collection[str]) -> dict[str, UUID]:
    """Inside a unit of the tenant: products by name; of two that are called the same, the older one."""
    found = await Product.filter(name__in=list(names)).order_by("-id")
    return {product.name: product.id for product in found}


async def is_planned(machine_id: UUID) -> bool:
    """Inside a unit of the tenant: whether the machine has a planogram."""
    return await Planogram.filter(machine_id=machine_id).exists()


async def product(product_id: UUID) -> ProductRow:
    """Inside a unit of the tenant: one product. Raises NotFound."""
    found = there(await Product.get_or_none(id=product_id))
    return _product_row(found)


async def edit_product(
    transaction: Transaction, operator: Operator, product_id: UUID, edit: ProductEdit, expected: Precondition = ANY
) -> ProductRow:
    """Inside a unit of the tenant: told to every site that sells it. Raises NotFound, Refused (412)."""
    found = there(await Product.select_for_update().get_or_none(id=product_id))
    was = _product_row(found)
    expected.require(was)
    found.name, found.version = edit.name, found.version + 1
    await found.save(update_fields=["name", "version"])
    await transaction.ring(CATALOGUE, operator.tenant_id)
    for row in await transaction.fetch(_SITES_OF_PRODUCTS, product_id):
        await append_changes(transaction, row["site_id"], [_product_version(found)])
    now, about = _product_row(found), Subject(SubjectKind.PRODUCT, product_id)
    await _audit(transaction, operator, AuditAction.PRODUCT_CHANGED, about, was, now)
    return now


async def machine(machine_id: UUID) -> MachineRow:
    """Inside a unit of the tenant: one machine. Raises NotFound."""
    found = there(await Machine.get_or_none(id=machine_id))
    return _machine_row(found)


async def edit_machine(
    transaction: Transaction, operator: Operator, machine_id: UUID, edit: MachineEdit, expected: Precondition = ANY
) -> MachineRow:
    """Inside a unit of the tenant: told to the machine's gateway. Raises NotFound, Refused (412)."""
    found = there(await Machine.select_for_update().get_or_none(id=machine_id))
    was = _machine_row(found)
    expected.require(was)
    found.name = found.name if edit.name is None else edit.name
    found.in_service = found.in_service if edit.in_service is None else edit.in_service
    found.version += 1
    await found.save(update_fields=["name", "in_service", "version"])
    await transaction.ring(CATALOGUE, operator.tenant_id)
    await append_changes(transaction, found.site_id, [_machine_version(found, await currency_of(found.site_id))])
    now, about = _machine_row(found), Subject(SubjectKind.MACHINE, machine_id)
    await _audit(transaction, operator, AuditAction.MACHINE_CHANGED, about, was, now)
    return now


async def set_state(transaction: Transaction, tenant_id: UUID, machine_id: UUID, state: MachineState) -> int:
    """Inside a unit of the tenant: told to the machine's gateway. Returns the version from which on it holds.

    Raises NotFound.
    """
    found = there(await Machine.select_for_update().get_or_none(id=machine_id))
    found.state, found.version = state.value, found.version + 1
    await found.save(update_fields=["state", "version"])
    await transaction.ring(CATALOGUE, tenant_id)
    await append_changes(transaction, found.site_id, [_machine_version(found, await currency_of(found.site_id))])
    return found.version


async def publish_planogram(
    transaction: Transaction, tenant_id: UUID, machine_id: UUID, effective_at: datetime, slots: Sequence[SlotContent]
) -> int:
    """Inside a unit of the tenant: the machine's next planogram, with its products. Returns its version.

    Raises NotFound for an unknown machine or product.
    """
    machine = await Machine.select_for_update().get_or_none(id=machine_id)
    product_ids = {slot.product_id for slot in slots}
    products = await Product.filter(id__in=list(product_ids)).order_by("name", "id")
    if machine is None or len(products) != len(product_ids):
        raise NotFound
    version = 1 + await Planogram.filter(machine_id=machine_id).count()
    planogram = Planogram(
        id=new_id(), tenant_id=tenant_id, machine_id=machine_id, version=version, effective_at=effective_at
    )
    await planogram.save()
    contents = [(new_id(), *(getattr(slot, name) for name in _CONTENT)) for slot in slots]
    if contents:
        await transaction.execute(_ADD_SLOTS, tenant_id, planogram.id, *columns(contents))
    told = [_product_version(product) for product in products]
    await append_changes(transaction, machine.site_id, [*told, _planogram_version(planogram, slots)])
    return version


async def current(transaction: Transaction, site_id: UUID) -> list[MachineVersion | ProductVersion | PlanogramVersion]:
    """All that a site's gateway has to know: machines, planograms in force and to come, the products in them."""
    currency = await currency_of(site_id)
    machines = await Machine.filter(site_id=site_id).order_by("id")
    in_force = [row["id"] for row in await transaction.fetch(_IN_FORCE, site_id)]
    planograms = await Planogram.filter(id__in=in_force).order_by("machine_id", "version")
    contents: dict[UUID, list[SlotContent]] = {planogram.id: [] for planogram in planograms}
    for slot in await PlanogramSlot.filter(planogram_id__in=in_force).order_by("slot"):
        contents[slot.planogram_id].append(_content(slot))
    product_ids = {slot.product_id for slots in contents.values() for slot in slots}
    products = await Product.filter(id__in=list(product_ids)).order_by("id")
    return [
        *(_machine_version(machine, currency) for machine in machines),
        *(_product_version(product) for product in products),
        *(_planogram_version(planogram, contents[planogram.id]) for planogram in planograms),
    ]


async def in_force(transaction: Transaction, site_id: UUID, machine_id: UUID) -> tuple[SlotContent, ...]:
    """What sits where in a machine now; nothing if it was never planned."""
    planned = [body for body in await current(transaction, site_id) if isinstance(body, PlanogramVersion)]
    of_machine = [body for body in planned if body.machine_id == machine_id]
    return of_machine[0].slots if of_machine else ()


async def product_page(transaction: Transaction, query: ProductQuery) -> ProductPage:
    """The products that are asked for. Raises Refused for a cursor that is not theirs."""
    return await read_page(transaction, models.PRODUCTS, query)


async def product_names(transaction: Transaction, ids: Collection[UUID], names: Collection[str]) -> dict[UUID, str]:
    """Of the products with these ids or exactly these names: what each is called."""
    return {row["id"]: row["name"] for row in await transaction.fetch(_NAMED, list(ids), list(names))}


async def machine_page(transaction: Transaction, query: MachineQuery) -> MachinePage:
    """The machines that are asked for. Raises Refused for a cursor that is not theirs."""
    return await read_page(transaction, models.MACHINES, query)


async def planogram_page(transaction: Transaction, machine_id: UUID, query: PlanogramQuery) -> PlanogramPage:
    """The planograms of a machine that are asked for. Raises NotFound, Refused for a cursor that is not theirs."""
    await machine(machine_id)
    return await read_page(transaction, models.PLANOGRAMS, query, machine_id=machine_id)


async def plan(transaction: Transaction, operator: Operator, machine_id: UUID, wish: PlanogramWish) -> PlanogramVersion:
    """Inside a unit of the tenant: the machine's next planogram. Raises NotFound, Refused with the wrong slots."""
    await machine(machine_id)
    wrong = rules.wrong_slots(
        wish.slots,
        products={row["id"] for row in await transaction.fetch(_KNOWN, [slot.product_id for slot in wish.slots])},
        devices={row["id"] for row in await transaction.fetch(_DEVICES, machine_id)},
    )
    if wrong:
        raise Refused(Code.VALIDATION_FAILED, "Some slots are wrong.", errors=wrong)
    version = await publish_planogram(transaction, operator.tenant_id, machine_id, wish.effective_at, wish.slots)
    planned = PlanogramVersion(
        machine_id=machine_id, version=version, effective_at=wish.effective_at, slots=tuple(wish.slots)
    )
    about = Subject(SubjectKind.MACHINE, machine_id)
    await _audit(transaction, operator, AuditAction.PLANOGRAM_PUBLISHED, about, None, planned)
    return planned


async def _audit(
    transaction: Transaction,
    operator: Operator,
    deed: AuditAction,
    about: Subject,
    was: Message | None,
    now: Message,
) -> None:
    before, after = None if was is None else was.model_dump(mode="json"), now.model_dump(mode="json")
    await audit.record(transaction, operator.actor, operator.tenant_id, deed, about, before=before, after=after)


def _product_row(found: Product) -> ProductRow:
    return ProductRow(product_id=found.id, name=found.name, version=found.version)


def _machine_row(found: Machine) -> MachineRow:
    return MachineRow(
        machine_id=found.id,
        site_id=found.site_id,
        name=found.name,
        rail=Rail(found.rail),
        in_service=found.in_service,
        state=MachineState(found.state),
        version=found.version,
    )


async def places(transaction: Transaction) -> list[Place]:
    """Inside a unit of the tenant: what its caller sees, by site and machine; MOST_PLACES at most."""
    return [Place(**row) for row in await transaction.fetch(_PLACES, MOST_PLACES)]


def _machine_version(machine: Machine, currency: str) -> MachineVersion:
    return MachineVersion(
        machine_id=machine.id,
        version=machine.version,
        name=machine.name,
        rail=Rail(machine.rail),
        currency=currency,
        in_service=machine.in_service and machine.state == MachineState.SELLING,
    )


def _product_version(product: Product) -> ProductVersion:
    return ProductVersion(product_id=product.id, version=product.version, name=product.name)


def _planogram_version(planogram: Planogram, slots: Sequence[SlotContent]) -> PlanogramVersion:
    return PlanogramVersion(
        machine_id=planogram.machine_id,
        version=planogram.version,
        effective_at=planogram.effective_at,
        slots=tuple(slots),
    )


def _content(slot: PlanogramSlot) -> SlotContent:
    return SlotContent(
        slot=slot.slot,
        product_id=slot.product_id,
        device_id=slot.device_id,
        price_minor=slot.price_minor,
        capacity=slot.capacity,
        par_level=slot.par_level,
    )
