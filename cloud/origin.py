"""Where the work at hand comes from: the request behind it. Bound by whoever takes requests, read by the audit log."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """A request and the address it came from. Both are empty where there is none: a command, a job."""

    request_id: str = ""
    address: str = ""


NOWHERE = Origin()
_ORIGIN: ContextVar[Origin] = ContextVar("larder_origin", default=NOWHERE)


def bind_origin(origin: Origin) -> None:
    """From here on, in this task and in the units of work that it starts."""
    _ORIGIN.set(origin)


def current_origin() -> Origin:
    """Where the work at hand comes from."""
    return _ORIGIN.get()
