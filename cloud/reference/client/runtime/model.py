"""What models are made of."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PrivateAttr

Time = Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC))]


class Answer(BaseModel):
    """What the server says. Fields that a newer server adds are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    _etag: str | None = PrivateAttr(default=None)

    @property
    def etag(self) -> str | None:
        """By which the server knows this state: for `if_match`. None where the operation tells none."""
        return self._etag

    @classmethod
    def read(cls, text: bytes, etag: str | None) -> Self:
        """Raises ValidationError."""
        answer = cls.model_validate_json(text)
        answer._etag = etag
        return answer


class Wish(BaseModel):
    """What the server is told. A field that is left out is not sent; None is sent as null."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def written(self) -> bytes:
        """As JSON."""
        return self.model_dump_json(exclude_unset=True).encode()


class Word(StrEnum):
    """One of several words. One that a newer server says is kept as it is, and equal to its text."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_, word._value_ = value.upper(), value
        return word


def in_utc(time: datetime) -> str:
    """A time as the server reads it. Raises ValueError for one without a zone."""
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()} has no time zone: say which, for example datetime.now(UTC)")
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
