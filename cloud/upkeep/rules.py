"""What makes an instruction whole. Pure."""

from collections.abc import Mapping

from shared.errors import FieldError
from shared.upkeep import Action

NEEDS: Mapping[Action, frozenset[str]] = {
    Action.RESTART: frozenset(),
    Action.JOG: frozenset({"slot", "pin"}),
    Action.RELEASE_ZONE: frozenset({"zone"}),
}


def wrong_fields(action: Action, given: Mapping[str, object]) -> tuple[FieldError, ...]:
    """What an instruction lacks, or has too much: `given` are its slot, pin and zone."""
    needed = NEEDS[action]
    missing = [FieldError(path=name, message=f"is needed for {action}") for name in sorted(needed) if not given[name]]
    idle = [name for name in sorted(given) if given[name] is not None and name not in needed]
    return (*missing, *(FieldError(path=name, message=f"means nothing for {action}") for name in idle))
