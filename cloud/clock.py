"""Time and ids."""

from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562)."""
    return uuid_utils.compat.uuid7()


class Clock:
    """The cloud's clock: the one gateways set theirs by."""

    def now(self) -> datetime:
        """Wall time in UTC."""
        return datetime.now(UTC)
