"""What is kept of a device's samples for long. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from shared.devices import DeviceHealth

T = TypeVar("T")
EVERY = timedelta(minutes=5)
"""One row of a device in each. Gateways send one a minute: 10,000 devices would be 14 million rows a day."""
_BEGIN = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    """Five minutes of a device: of what is measured the worst, of all else the newest, as of `at`."""

    at: datetime
    firmware: str | None
    uptime_s: int
    free_bytes: int | None
    rssi_dbm: int | None
    journal_bytes: int | None
    reset_cause: str | None
    journal_limit_bytes: int | None
    centi_celsius: dict[str, int | None]
    door_open: bool | None
    peak_ma: dict[str, int]
    clock: str


def begin_of(at: datetime) -> datetime:
    """The begin of the five minutes."""
    return at - (at - _BEGIN) % EVERY


def fold(samples: Sequence[DeviceHealth]) -> dict[tuple[UUID, datetime], Kept]:
    """Samples by device and five minutes."""
    kept: dict[tuple[UUID, datetime], Kept] = {}
    for sample in samples:
        key, one = (sample.device_id, begin_of(sample.at)), _kept(sample)
        kept[key] = worst(kept[key], one) if key in kept else one
    return kept


def worst(one: Kept, other: Kept) -> Kept:
    """Both in one. The order does not matter, and the same once more changes nothing."""
    newest = max(one, other, key=lambda kept: kept.at)
    return replace(
        newest,
        free_bytes=_of_both(min, one.free_bytes, other.free_bytes),
        rssi_dbm=_of_both(min, one.rssi_dbm, other.rssi_dbm),
        door_open=_of_both(max, one.door_open, other.door_open),
        centi_celsius={
            zone: _of_both(max, one.centi_celsius.get(zone), other.centi_celsius.get(zone))
            for zone in sorted(one.centi_celsius.keys() | other.centi_celsius.keys())
        },
        peak_ma={
            slot: max(one.peak_ma.get(slot, 0), other.peak_ma.get(slot, 0))
            for slot in sorted(one.peak_ma.keys() | other.peak_ma.keys())
        },
    )


def _of_both(choose: Callable[[Iterable[T]], T], one: T | None, other: T | None) -> T | None:
    told = [value for value in (one, other) if value is not None]
    return choose(told) if told else None


def _kept(sample: DeviceHealth) -> Kept:
    told = {name: getattr(sample, name) for name in Kept.__dataclass_fields__}
    return Kept(**told | {"centi_celsius": dict(sample.centi_celsius), "peak_ma": dict(sample.peak_ma)})
