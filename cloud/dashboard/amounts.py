"""Amounts as people type them: money in major units, tax in per cent. Inside they are whole numbers. Pure."""

import re

TAX_DIGITS = 2
"""Of a per cent: basis points."""


def typed(minor: int, digits: int) -> str:
    """2550 with two digits → "25.50"."""
    whole, rest = divmod(minor, 10**digits)
    return f"{whole}.{rest:0{digits}}" if digits else str(whole)


def whole(text: str, digits: int) -> int | None:
    """ "25.5" with two digits → 2550; None for what is no such amount. Never rounds.

    A comma may stand for the point where nobody can take it for one between thousands.
    """
    plain = text.strip().replace(",", ".") if digits < 3 else text.strip()
    found = re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?", plain)
    if found is None or len(found[2] or "") > digits:
        return None
    return int(found[1] + (found[2] or "").ljust(digits, "0"))


def count(text: str) -> int | None:
    """A number of things."""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text.strip()) else None


def degrees(text: str) -> float | None:
    """A coordinate; None for what is none."""
    return float(text) if re.fullmatch(r"-?[0-9]{1,3}(\.[0-9]{1,15})?", text.strip()) else None
