"""Machines, products and planograms: as they are kept, and as operators see them."""

import json
from typing import Annotated
from uuid import UUID

from pydantic import Field
from tortoise import fields
from tortoise.models import Model

from cloud.catalog.rules import MachineState
from cloud.database import Row
from cloud.lists import Listing, PageQuery, Sort
from shared.catalog import PlanogramSlot as SlotContent
from shared.contract import Instant, Message, Name, Rail


class Machine(Model):
    """One vending cabinet. `version` rises with each edit, and with each new state (rules.py)."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    site_id = fields.UUIDField()
    name = fields.TextField()
    rail = fields.TextField()
    in_service = fields.BooleanField(default=True)
    state = fields.TextField(default="selling")
    version = fields.IntField(default=1)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "machines"


class Product(Model):
    """What is sold. `version` rises with each edit."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    name = fields.TextField()
    version = fields.IntField(default=1)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "products"


class Planogram(Model):
    """One version of what sits where in a machine. Never edited: a new version takes over at its time."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    machine_id = fields.UUIDField()
    version = fields.IntField()
    effective_at = fields.DatetimeField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "planograms"


class PlanogramSlot(Model):
    """One product column of a planogram. `price_minor` is in minor units of the site's currency."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    planogram_id = fields.UUIDField()
    slot = fields.TextField()
    product_id = fields.UUIDField()
    device_id = fields.UUIDField()
    price_minor = fields.BigIntField()
    capacity = fields.IntField()
    par_level = fields.IntField()

    class Meta:
        table = "planogram_slots"


class ProductRow(Message):
    """A product as operators see it. `version` rises with each edit."""

    product_id: UUID
    name: Name
    version: int


class ProductWish(Message):
    """A product to be."""

    name: Name


class ProductEdit(Message):
    """What shall be different."""

    name: Name


class ProductPage(Message):
    """A page of products by name."""

    products: tuple[ProductRow, ...]
    next_cursor: str | None


class MachineRow(Message):
    """A vending cabinet as operators see it. `version` rises with each edit. It sells in service, while `selling`."""

    machine_id: UUID
    site_id: UUID
    name: Name
    rail: Rail
    in_service: bool
    state: MachineState
    version: int


class MachineEdit(Message):
    """What shall be different; what is left out or null stays as it is."""

    name: Name | None = None
    in_service: Annotated[bool | None, Field(description="Out of service it sells nothing and takes no money.")] = None


class MachinePage(Message):
    """A page of machines by name."""

    machines: tuple[MachineRow, ...]
    next_cursor: str | None


class PlanogramRow(Message):
    """One version of what sits where in a machine, and whether it is the one that counts now."""

    machine_id: UUID
    version: int
    effective_at: Instant
    in_force: bool
    slots: tuple[SlotContent, ...]


class PlanogramWish(Message):
    """What shall sit where from `effective_at` on: all slots of the machine."""

    effective_at: Instant
    slots: Annotated[tuple[SlotContent, ...], Field(min_length=1, max_length=240)]


class PlanogramQuery(PageQuery):
    """Planograms of a machine, the newest version first."""

    row = PlanogramRow

    limit: Annotated[int, Field(ge=1, le=50, description="The most rows of a page.")] = 10


class PlanogramPage(Message):
    """A page of planograms, the newest version first."""

    planograms: tuple[PlanogramRow, ...]
    next_cursor: str | None


_BY_NAME = {"name": "p.name", "product_id": "p.id"}
PRODUCTS = Listing(
    name="products",
    row=ProductRow,
    page=ProductPage,
    table="products p",
    show="SELECT p.id AS product_id, p.name, p.version FROM {picked}",
    read=lambda row: ProductRow(**row),
    sorts={"name": Sort(_BY_NAME), "-name": Sort(_BY_NAME, descending=True)},
)

_MACHINES_BY_NAME = {"name": "m.name", "machine_id": "m.id"}
MACHINES = Listing(
    name="machines",
    row=MachineRow,
    page=MachinePage,
    table="machines m",
    show="SELECT m.id AS machine_id, m.site_id, m.name, m.rail, m.in_service, m.state, m.version FROM {picked}",
    read=lambda row: MachineRow(**{**row, "rail": Rail(row["rail"]), "state": MachineState(row["state"])}),
    sorts={"name": Sort(_MACHINES_BY_NAME), "-name": Sort(_MACHINES_BY_NAME, descending=True)},
    filters={"site_id": "m.site_id = {}", "rail": "m.rail = {}", "in_service": "m.in_service = {}"},
)


def _planogram(row: Row) -> PlanogramRow:
    slots = tuple(SlotContent.model_validate_json(json.dumps(slot)) for slot in json.loads(row["slots"] or "[]"))
    return PlanogramRow(**{**row, "slots": slots})


PLANOGRAMS = Listing(
    name="planograms",
    row=PlanogramRow,
    page=PlanogramPage,
    table="planograms p",
    show="""
        SELECT p.machine_id, p.version, p.effective_at,
               p.effective_at <= now() AND NOT EXISTS (
                   SELECT 1 FROM planograms q WHERE q.tenant_id = p.tenant_id AND q.machine_id = p.machine_id
                       AND q.version > p.version AND q.effective_at <= now()) AS in_force,
               (SELECT json_agg(json_build_object(
                    'slot', s.slot, 'product_id', s.product_id, 'device_id', s.device_id,
                    'price_minor', s.price_minor, 'capacity', s.capacity, 'par_level', s.par_level) ORDER BY s.slot)
                FROM planogram_slots s WHERE s.tenant_id = p.tenant_id AND s.planogram_id = p.id) AS slots
        FROM {picked}""",
    read=_planogram,
    sorts={"-version": Sort({"version": "p.version"}, descending=True)},
    filters={"machine_id": "p.machine_id = {}"},
)
