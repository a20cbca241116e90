"""What somebody may have meant. Pure."""

import re
from uuid import UUID

MAX_WORDS = 8
_HEX = re.compile(r"[0-9a-f]{8,32}")
_LONGEST = 32


def id_range(text: str) -> tuple[UUID, UUID] | None:
    """The first and last id that begin like `text`, with or without dashes; None: it is no beginning of an id.

    It takes eight digits, or words like "added" would be some.
    """
    digits = text.strip().lower().replace("-", "")
    if _HEX.fullmatch(digits) is None:
        return None
    return UUID(digits.ljust(_LONGEST, "0")), UUID(digits.ljust(_LONGEST, "f"))


def picked(words: list[str]) -> list[str]:
    """Those that have to be there, the one first by which the fewest are likely found."""
    return sorted(words, key=lambda word: (-len(word), word))[:MAX_WORDS]
