"""Machines, products and planograms."""

from tortoise import fields
from tortoise.models import Model


class Machine(Model):
    """One vending cabinet. `version` rises with each edit."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    site_id = fields.UUIDField()
    name = fields.TextField()
    rail = fields.TextField()
    in_service = fields.BooleanField(default=True)
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
