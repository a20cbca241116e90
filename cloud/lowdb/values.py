"""Numbers, times and texts as LowDB files have them: whatever somebody's page once sent. Pure."""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

MOST_MINOR = 10**12
MOST_UNITS = 10_000
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 10**11
"""A number of seconds that large lies 3,000 years ahead."""
_NAME_CHARACTERS, _ID_CHARACTERS = 120, 200


def at(value: object, path: str) -> object:
    """What stands in a record at keys with dots between them; None if nothing does."""
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def first(value: object, paths: Sequence[str]) -> object:
    """What stands at the first of these paths that holds something."""
    for path in paths:
        found = at(value, path)
        if found is not None and found != "":
            return found
    return None


def number(value: object) -> Decimal | None:
    """A number, or a text that is one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        found = Decimal(value)
    elif isinstance(value, str) and len(value) <= 40:
        try:
            found = Decimal(value.strip())
        except InvalidOperation:
            return None
    else:
        return None
    return found if found.is_finite() and abs(found.adjusted()) < 40 else None


def moment(value: object, zone: ZoneInfo) -> datetime | None:
    """A time in UTC: ISO 8601 (of `zone` if it names none), or seconds or milliseconds of Unix. None if it is none,
    or lies before 2000 or after 2099."""
    if isinstance(value, str) and not value.strip().isdecimal():
        try:
            told = datetime.fromisoformat(value.strip())
            found = (told if told.tzinfo else told.replace(tzinfo=zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None
    else:
        count = number(value)
        if count is None or not 0 < count < 10**14:
            return None
        seconds = count / 1000 if count >= _MILLISECONDS_FROM else count
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(seconds * 10**6))
    return found if _EARLIEST <= found < _LATEST else None


def text(value: object, most: int = _NAME_CHARACTERS) -> str:
    """As Postgres can keep it, in one line: no NUL, no lone surrogate, not longer than `most`; "" for no text."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return ""
    shown = str(value).replace("\0", "\ufffd").encode(errors="replace").decode()
    return " ".join(shown.split())[:most].rstrip()


def id_text(value: object) -> str:
    """What a record calls itself."""
    return text(value, _ID_CHARACTERS)


def derived_id(moment_: datetime, *parts: str) -> UUID:
    """A UUIDv7 of that moment, always the same for the same parts."""
    milliseconds = int(moment_.timestamp() * 1000)
    chance = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:10])
    high = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (chance >> 62 & 0xFFF) << 64
    return UUID(int=high | 0b10 << 62 | chance & (1 << 62) - 1)


def image_of(reference: object) -> tuple[str | None, str] | None:
    """The machine's folder, if it is named, and the name of the file that an image stands for. None if it may lead
    somewhere else, or names none.

    Three styles: /VM-001/Inventory/product_images/a.png, /product_img/a.png, and the URL of either.
    """
    if not isinstance(reference, str):
        return None
    try:
        path = unquote(urlsplit(reference.strip()).path)
    except ValueError:
        return None
    parts = [part for part in path.split("/") if part]
    if not parts or not all(is_plain_name(part) for part in parts):
        return None
    named = parts[-4] if len(parts) >= 4 and parts[-3:-1] == ["Inventory", "product_images"] else None
    return named, parts[-1]


def is_plain_name(name: str) -> bool:
    """Whether it names something in its folder, and nothing else."""
    return name not in ("", ".", "..") and not re.search(r"[/\\\0]", name) and len(name.encode(errors="replace")) <= 255


def json_text(value: object) -> str:
    """JSON in one line; a Decimal as it was written."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json_text(str(key))}: {json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value) if isinstance(value, int | Decimal) else json.dumps(str(value))
