"""What is on flash of the zones that must stay cold (climate.py): read at boot, and forgotten.

A file is one line with its CRC32: (generation, zone → Saved as a list). Of two whole ones the newer counts. Where
nothing whole is found although something was written, every zone is locked.
"""

from . import TYPE_CHECKING
from .climate import FILES
from .journal import decode_line
from .log import alarm

if TYPE_CHECKING:
    from .flash import Flash

FIELDS = 4
"""Of climate.Saved."""


def load(flash: "Flash") -> tuple:
    """(generation, zone → Saved as a list); (0, {}) if nothing was ever saved, (0, None) if that cannot be read."""
    newest, found = (0, {}), []
    for name in FILES:
        data = flash.read(name)
        if data:
            found.append(data)
            newest = max(newest, _whole(data) or newest, key=_generation)
    # A lone line without its end is the very first write, cut short: nothing was locked before it.
    if found and not newest[0] and (len(found) > 1 or found[0].endswith(b"\n")):
        alarm("climate_unreadable")
        return (0, None)
    for past in newest[1].values():
        # An earlier program knew nothing of who had released it.
        past.extend([None] * (FIELDS - len(past)))
    return newest


def _whole(data: bytes) -> "tuple | None":
    """What a file holds; None too if it is of a program that wrote it otherwise."""
    try:
        saved = decode_line(data[:-1])
        return (
            saved
            if saved is not None and all(FIELDS - 1 <= len(past) <= FIELDS for past in saved[1].values())
            else None
        )
    except (ValueError, TypeError, AttributeError, IndexError):
        return None


def _generation(saved: tuple) -> int:
    return saved[0]
