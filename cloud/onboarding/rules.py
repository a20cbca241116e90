"""When a claim code may be used; what a site says of its place. Pure."""

import secrets
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints

from shared.contract import Currency, Message, Name
from shared.errors import Code

CLAIM_LIFE = timedelta(hours=24)
CARRIED_LIFE = timedelta(days=30)
"""Of a code in a bundle, which has to find its way to a site without internet, and wait there until there is some."""


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("must be a name of the IANA time zone database, such as Asia/Kolkata")
    return name


TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_time_zone)]
TaxBasisPoints = Annotated[int, Field(ge=0, le=10_000, description="Tax contained in prices; 1800 is 18 %.")]


Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
"""Degrees of WGS 84."""


class SiteRow(Message):
    """A place as operators see it. Coordinates in degrees of WGS 84."""

    site_id: UUID
    name: Name
    address: str
    latitude: Latitude | None
    longitude: Longitude | None
    currency: Currency
    time_zone: str
    tax_basis_points: TaxBasisPoints


def new_claim_code() -> str:
    """160 random bits as 27 URL-safe characters."""
    return secrets.token_urlsafe(20)


def life_of(*, carried: bool) -> timedelta:
    """How long a code may be used."""
    return CARRIED_LIFE if carried else CLAIM_LIFE


def why_refused(used_by: str | None, expires: datetime, public_key: str, now: datetime) -> Code | None:
    """None when the code may be used. The key that used it may ask again within its life: its answer got lost."""
    if used_by is not None and used_by != public_key:
        return Code.CLAIM_CODE_USED
    return Code.CLAIM_CODE_EXPIRED if now >= expires else None
