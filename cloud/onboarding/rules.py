"""When a claim code may be used. Pure."""

import secrets
from datetime import datetime, timedelta

from shared.errors import Code

CLAIM_LIFE = timedelta(hours=24)


def new_claim_code() -> str:
    """160 random bits as 27 URL-safe characters."""
    return secrets.token_urlsafe(20)


def why_refused(used_by: str | None, expires: datetime, public_key: str, now: datetime) -> Code | None:
    """None when the code may be used. The key that used it may ask again within its life: its answer got lost."""
    if used_by is not None and used_by != public_key:
        return Code.CLAIM_CODE_USED
    return Code.CLAIM_CODE_EXPIRED if now >= expires else None
