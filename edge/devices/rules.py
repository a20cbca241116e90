"""What a device's hello tells about the two sides' memories, and what becomes of the heartbeats of a minute."""

from collections.abc import Mapping
from typing import NamedTuple

from shared.devices import DeviceHealth, Hello

EPOCH_LIMIT = 2**30
"""No ledger is ever restored so often: a device that tells of such an epoch is out of its mind."""

Number = tuple[int, int]
"""(epoch, seq) of a command."""


class Journal(NamedTuple):
    """A device's journal as the gateway knows it. `journal_id` is None as long as no device has told of one."""

    journal_id: str | None
    highest: Number


def fold(earlier: DeviceHealth, sample: DeviceHealth) -> DeviceHealth:
    """One sample that tells of both: of what is measured the worst, of all else what was said last.

    No opening of the door, no peak of a current and no warm moment is lost by it. A zone has no temperature only if its
    sensor was silent all the time.
    """
    return sample.model_copy(
        update={
            "free_bytes": _least(earlier.free_bytes, sample.free_bytes),
            "rssi_dbm": _least(earlier.rssi_dbm, sample.rssi_dbm),
            "journal_bytes": _most(earlier.journal_bytes, sample.journal_bytes),
            "centi_celsius": _most_of_each(earlier.centi_celsius, sample.centi_celsius),
            "door_open": earlier.door_open or sample.door_open,
            "peak_ma": _most_of_each(earlier.peak_ma, sample.peak_ma),
        }
    )


def _least(one: int | None, other: int | None) -> int | None:
    return min((figure for figure in (one, other) if figure is not None), default=None)


def _most(one: int | None, other: int | None) -> int | None:
    return max((figure for figure in (one, other) if figure is not None), default=None)


def _most_of_each(one: Mapping[str, int | None], other: Mapping[str, int | None]) -> dict[str, int | None]:
    return {name: _most(one.get(name), other.get(name)) for name in sorted({*one, *other})}


def is_plausible(hello: Hello) -> bool:
    """Whether a new epoch can be begun above what the device tells."""
    return hello.epoch < EPOCH_LIMIT


def is_ahead(hello: Hello, epoch: int, seq: int) -> bool:
    """Whether the device has seen commands this ledger does not remember sending: the ledger was restored."""
    return (hello.epoch, hello.seq) > (epoch, seq)


def is_lost(known: Journal, told: Journal) -> bool:
    """Whether the journal that was known is gone: the device tells of another, or of one that ends before it."""
    is_another = known.journal_id not in (None, told.journal_id)
    return is_another or told.highest < known.highest
