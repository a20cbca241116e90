"""What a device's hello tells about the two sides' memories."""

from shared.devices import Hello

EPOCH_LIMIT = 2**30
"""No ledger is ever restored so often: a device that tells of such an epoch is out of its mind."""


def is_plausible(hello: Hello) -> bool:
    """Whether a new epoch can be begun above what the device tells."""
    return hello.epoch < EPOCH_LIMIT


def is_ahead(hello: Hello, epoch: int, seq: int) -> bool:
    """Whether the device has seen commands this ledger does not remember sending: the ledger was restored."""
    return (hello.epoch, hello.seq) > (epoch, seq)


def is_wiped(hello: Hello, seen_epoch: int, seen_seq: int) -> bool:
    """Whether the device's journal is younger than what it once told us: it was swapped or erased."""
    return (hello.epoch, hello.seq) < (seen_epoch, seen_seq)
