"""Gateways as they are kept."""

from tortoise import fields
from tortoise.models import Model


class Gateway(Model):
    """The Pi of a site. `public_key` is raw Ed25519 as hex; facts up to (epoch, seq) took effect; `chain` is there."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    site_id = fields.UUIDField()
    name = fields.TextField()
    public_key = fields.TextField(null=True)
    software = fields.TextField(null=True)
    ca_pem = fields.TextField(null=True)
    claimed_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)
    epoch = fields.IntField(default=0)
    seq = fields.BigIntField(default=0)
    chain = fields.BinaryField(default=bytes(32))
    acknowledged_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "gateways"
