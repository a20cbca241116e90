"""The ground every message stands on: a frozen, strict, closed base model and the value types features share."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints


class Message(BaseModel):
    """Anything that crosses a wire. Unknown fields, loose types and later edits are refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    def to_line(self) -> bytes:
        """The message as compact UTF-8 JSON without a line break: what is sent, stored and hashed."""
        return self.model_dump_json().encode()


class Rail(StrEnum):
    """How an order is paid."""

    FREE = "free"
    CASH = "cash"


class ClockQuality(StrEnum):
    """How far a wall time may be believed."""

    SYNCED = "synced"
    UNSYNCED = "unsynced"


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:  # pydantic wraps a ValueError only
        raise ValueError("lies outside the years 1 to 9999 of UTC") from error


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A point in time with an offset; always UTC once parsed."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 letters."""

Minor = Annotated[int, Field(ge=0, le=10**12)]
"""Money in minor units (paise, cents) of the currency beside it."""

SlotCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][0-9]{1,2}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=120)]
Epoch = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seq = Annotated[int, Field(ge=1, le=2**53 - 1)]
Watermark = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""A seq, or 0 for "none yet"."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""32 bytes as lower-case hex: a SHA-256, a MAC, a 256-bit key."""

Nonce = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""64 random bits of a device, renewed with each heartbeat and at each connect."""

Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+-]{1,40}$")]
"""A software or firmware version."""
