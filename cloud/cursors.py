"""Where a page of a list ended, as a text that means nothing to clients. Pure.

A cursor belongs to one list, its order and its filters; whoever makes one up gets a place in a list of rows that they
see anyway, so it needs no signature.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

VERSION = 1

Position = tuple[object, ...]


def keys_of(types: Sequence[object]) -> TypeAdapter[Position]:
    """Reads and writes the values by which a list is ordered, of these types."""
    position: Any = tuple[tuple(types)]  # type: ignore[misc]  # built here, for this list
    return TypeAdapter(position, config=ConfigDict(strict=True))


def mark_of(list_name: str, sort: str, filters: Sequence[tuple[str, object]]) -> str:
    """By which a list knows its own cursors."""
    told = json.dumps([list_name, sort, *sorted((name, str(value)) for name, value in filters)])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def encode(keys: TypeAdapter[Position], mark: str, position: Position) -> str:
    """The cursor behind the row at `position`."""
    told = [VERSION, mark, *keys.dump_python(position, mode="json")]
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def decode(keys: TypeAdapter[Position], mark: str, cursor: str) -> Position | None:
    """What `encode` was given; None if it was not, or for another list, order or filters."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True)
        version, told, *values = json.loads(text)
        position = keys.validate_json(json.dumps(values))
    except (ValueError, TypeError, RecursionError, ValidationError):
        return None
    storable = not any("\0" in value for value in values if isinstance(value, str))
    return position if (version, told) == (VERSION, mark) and storable else None
