"""The ground every message stands on: a frozen, strict, closed base model and the value types features share."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import core_schema


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


class _Utc:
    """The one offset taken, in Python and on the wire. The validator's core checks it: there are 500 in a batch."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.datetime_schema(tz_constraint=0)


Instant = Annotated[datetime, _Utc, Field(json_schema_extra={"pattern": r"(Z|\+00:00)$"})]
"""A point in time, in UTC and told so. Another offset is refused, and so is none."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 letters."""

Minor = Annotated[int, Field(ge=0, le=10**12)]
"""Money in minor units (paise, cents) of the currency beside it."""

SlotCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][0-9]{1,2}$")]
Zone = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,16}$")]
"""A part of a machine with a thermometer of its own."""

CentiCelsius = Annotated[int, Field(ge=-5500, le=12500)]
"""Hundredths of a degree Celsius: what a DS18B20 can tell."""

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
