"""Points in time are in UTC wherever they come from."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.contract import Instant, Message

MOMENT = datetime(2026, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)


class Told(Message):
    """Anything with a time in it."""

    at: Instant


@pytest.mark.parametrize("text", ["2026-03-01T12:30:00.25Z", "2026-03-01T12:30:00.250000+00:00"])
def test_utc_is_read_and_written_with_a_z(text: str) -> None:
    told = Told.model_validate_json(f'{{"at":"{text}"}}')
    assert (told.at, told.at.utcoffset()) == (MOMENT, timedelta(0))
    assert told.to_line() == Told(at=MOMENT).to_line() == b'{"at":"2026-03-01T12:30:00.250000Z"}'


@pytest.mark.parametrize(
    "text", ["2026-03-01T18:00:00.25+05:30", "2026-03-01T12:30:00", "2026-03-01", "0001-01-01T00:00:00+01:00"]
)
def test_any_other_offset_and_none_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Told.model_validate_json(f'{{"at":"{text}"}}')


@pytest.mark.parametrize("moment", [MOMENT.replace(tzinfo=None), MOMENT.astimezone(timezone(timedelta(hours=1)))])
def test_nor_does_a_program_get_by_with_one(moment: datetime) -> None:
    with pytest.raises(ValidationError):
        Told(at=moment)


def test_the_schema_says_so() -> None:
    schema = TypeAdapter(Instant).json_schema()
    assert schema == {"type": "string", "format": "date-time", "pattern": r"(Z|\+00:00)$"}
