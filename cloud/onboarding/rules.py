"""When a claim code may be used; what a site says of its place. Pure."""

import secrets
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints

from shared.errors import Code

CLAIM_LIFE = timedelta(hours=24)


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("must be a name of the IANA time zone database, such as Asia/Kolkata")
    return name


TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_time_zone)]
TaxBasisPoints = Annotated[int, Field(ge=0, le=10_000, description="Tax contained in prices; 1800 is 18 %.")]


def new_claim_code() -> str:
    """160 random bits as 27 URL-safe characters."""
    return secrets.token_urlsafe(20)


def why_refused(used_by: str | None, expires: datetime, public_key: str, now: datetime) -> Code | None:
    """None when the code may be used. The key that used it may ask again within its life: its answer got lost."""
    if used_by is not None and used_by != public_key:
        return Code.CLAIM_CODE_USED
    return Code.CLAIM_CODE_EXPIRED if now >= expires else None
