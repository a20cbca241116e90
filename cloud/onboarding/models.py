"""Tenants, sites and one-time codes."""

from typing import Annotated

from pydantic import StringConstraints
from tortoise import fields
from tortoise.models import Model

from cloud.lists import Listing, Sort
from cloud.onboarding.rules import Latitude, Longitude, SiteRow, TaxBasisPoints, TimeZone
from shared.contract import Message, Name

Address = Annotated[str, StringConstraints(max_length=300)]


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
    time_zone = fields.TextField(default="UTC")
    tax_basis_points = fields.IntField(default=0)
    last_change = fields.BigIntField(default=0)
    pruned_change = fields.BigIntField(default=0)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        table = "sites"


class ClaimCode(Model):
    """A code by which one gateway may register its key, once, within its life. Only its SHA-256 is kept."""

    id = fields.UUIDField(primary_key=True)
    tenant_id = fields.UUIDField()
    gateway_id = fields.UUIDField()
    secret_sha256 = fields.TextField()
    expires_at = fields.DatetimeField()
    carried = fields.BooleanField(default=False)
    used_at = fields.DatetimeField(null=True)
    used_by = fields.TextField(null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "claim_codes"


class SiteEdit(Message):
    """What shall be different; what is left out stays as it is. Coordinates in degrees of WGS 84.

    Null takes coordinates away, and leaves all else as it is.
    """

    name: Name | None = None
    address: Address | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    time_zone: TimeZone | None = None
    tax_basis_points: TaxBasisPoints | None = None


class SitePage(Message):
    """A page of sites by name."""

    sites: tuple[SiteRow, ...]
    next_cursor: str | None


_BY_NAME = {"name": "s.name", "site_id": "s.id"}
SITES = Listing(
    name="sites",
    row=SiteRow,
    page=SitePage,
    table="sites s",
    show="""
        SELECT s.id AS site_id, s.name, s.address, s.latitude, s.longitude, s.currency, s.time_zone, s.tax_basis_points
        FROM {picked}""",
    read=lambda row: SiteRow(**row),
    sorts={"name": Sort(_BY_NAME), "-name": Sort(_BY_NAME, descending=True)},
)
