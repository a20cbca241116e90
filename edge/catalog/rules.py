"""Which planogram is in force."""

from collections.abc import Sequence
from datetime import datetime


def version_in_force(versions: Sequence[tuple[int, datetime]], current: int, now: datetime) -> int:
    """The version to sell by: the highest whose time has come, never below the `current` one.

    A wrong clock must neither take prices back nor leave a machine with nothing to sell: once in force stays in force,
    and when none ever was, the lowest version is. 0 if there are no versions. `versions` holds (version, effective at).
    """
    due = [version for version, effective_at in versions if effective_at <= now]
    if due or current:
        return max([*due, current])
    return min((version for version, _ in versions), default=0)
