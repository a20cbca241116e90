"""What a device's hello tells about the two sides' memories."""

from typing import NamedTuple

from shared.devices import Hello

EPOCH_LIMIT = 2**30
"""No ledger is ever restored so often: a device that tells of such an epoch is out of its mind."""

Number = tuple[int, int]
"""(epoch, seq) of a command."""


class Journal(NamedTuple):
    """A device's journal as the gateway knows it. `journal_id` is None as long as no device has told of one."""

    journal_id: str | None
    highest: Number


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
