"""Tenants, sites and one-time codes."""

from tortoise import fields
from tortoise.models import Model


class Tenant(Model):
    """A vending business; owns everything else."""

    tenant_id = fields.UUIDField(primary_key=True)
    name = fields.TextField()
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "tenants"


class Site(Model):
    """A place with an address and coordinates (WGS 84 degrees); one gateway each."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    name = fields.TextField()
    address = fields.TextField(default="")
    latitude = fields.FloatField(null=True)
    longitude = fields.FloatField(null=True)
    currency = fields.TextField()
    last_change = fields.BigIntField(default=0)
    pruned_change = fields.BigIntField(default=0)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "sites"


class ClaimCode(Model):
    """A code by which one gateway may register its key, once, within 24 h. Only its SHA-256 is kept."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    gateway_id = fields.UUIDField()
    secret_sha256 = fields.TextField()
    expires_at = fields.DatetimeField()
    used_at = fields.DatetimeField(null=True)
    used_by = fields.TextField(null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "claim_codes"
