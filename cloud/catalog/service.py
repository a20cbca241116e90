"""Machines, products and planograms: written by people, versioned, and sent down to gateways."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from cloud.catalog.models import Machine, Planogram, PlanogramSlot, Product
from cloud.clock import new_id
from cloud.database import Transaction
from cloud.errors import NotFound
from cloud.lists import Listing, PageQuery, Sort, read_page
from cloud.onboarding.service import append_changes, currency_of
from shared.catalog import MachineVersion, PlanogramVersion, ProductVersion
from shared.catalog import PlanogramSlot as SlotContent
from shared.contract import Message, Name, Rail

_SITES_OF_PRODUCTS = """
    SELECT DISTINCT m.site_id FROM planogram_slots s
    JOIN planograms p ON p.tenant_id = s.tenant_id AND p.id = s.planogram_id
    JOIN machines m ON m.tenant_id = p.tenant_id AND m.id = p.machine_id
    WHERE s.product_id = $1
"""
_IN_FORCE = """
    SELECT p.id FROM planograms p JOIN machines m ON m.tenant_id = p.tenant_id AND m.id = p.machine_id
    WHERE m.site_id = $1 AND NOT EXISTS (
        SELECT 1 FROM planograms q WHERE q.tenant_id = p.tenant_id AND q.machine_id = p.machine_id
            AND q.version > p.version AND q.effective_at <= now())
"""


class ProductRow(Message):
    """A product as operators see it."""

    product_id: UUID
    name: Name
    version: int


class ProductQuery(PageQuery):
    """Products by name."""

    row = ProductRow

    sort: Literal["name", "-name"] = "name"


class ProductPage(Message):
    """A page of products by name."""

    products: tuple[ProductRow, ...]
    next_cursor: str | None


_BY_NAME = {"name": "p.name", "product_id": "p.id"}
_PRODUCTS = Listing(
    name="products",
    row=ProductRow,
    page=ProductPage,
    table="products p",
    show="SELECT p.id AS product_id, p.name, p.version FROM {picked}",
    read=lambda row: ProductRow(**row),
    sorts={"name": Sort(_BY_NAME), "-name": Sort(_BY_NAME, descending=True)},
)


async def create_machine(
    transaction: Transaction, tenant_id: UUID, site_id: UUID, name: str, rail: Rail, machine_id: UUID | None = None
) -> UUID:
    """Inside a unit of the tenant: a new machine at a site, told to its gateway. Returns its id."""
    machine = Machine(id=machine_id or new_id(), tenant_id=tenant_id, site_id=site_id, name=name, rail=rail.value)
    await machine.save()
    await append_changes(transaction, site_id, [_machine_version(machine, await currency_of(site_id))])
    return machine.id


async def create_product(tenant_id: UUID, name: str) -> UUID:
    """Inside a unit of the tenant: a new product. Gateways hear of it with the first planogram that has it."""
    product = Product(id=new_id(), tenant_id=tenant_id, name=name)
    await product.save()
    return product.id


async def rename_product(transaction: Transaction, product_id: UUID, name: str) -> None:
    """Inside a unit of the tenant: told to every site that sells it. Raises NotFound."""
    product = await Product.select_for_update().get_or_none(id=product_id)
    if product is None:
        raise NotFound
    product.name, product.version = name, product.version + 1
    await product.save(update_fields=["name", "version"])
    for row in await transaction.fetch(_SITES_OF_PRODUCTS, product_id):
        await append_changes(transaction, row["site_id"], [_product_version(product)])


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
    for slot in slots:
        content = slot.model_dump()
        await PlanogramSlot(id=new_id(), tenant_id=tenant_id, planogram_id=planogram.id, **content).save()
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


async def product_page(transaction: Transaction, query: ProductQuery) -> ProductPage:
    """The products that are asked for. Raises Refused for a cursor that is not theirs."""
    return await read_page(transaction, _PRODUCTS, query)


def _machine_version(machine: Machine, currency: str) -> MachineVersion:
    return MachineVersion(
        machine_id=machine.id,
        version=machine.version,
        name=machine.name,
        rail=Rail(machine.rail),
        currency=currency,
        in_service=machine.in_service,
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
