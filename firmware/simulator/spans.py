"""Lines of text in several styles, and how they are made to fit. Pure."""

import unicodedata
from collections.abc import Sequence
from enum import Enum


class Style(Enum):
    """How a piece of text looks; its words say the same without it."""

    PLAIN = "plain"
    QUIET = "quiet"
    STRONG = "strong"
    CHOSEN = "chosen"
    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"


Span = tuple[str, Style]
Line = tuple[Span, ...]


def fit(line: Line, width: int) -> Line:
    """The line without what lies beyond `width` columns; a question mark stands for what cannot be printed."""
    fitting: list[Span] = []
    for text, style in line:
        kept = ""
        for letter in text:
            shown = letter if letter.isprintable() else "?"
            width -= columns(shown)
            if width < 0:
                return (*fitting, (kept, style))
            kept += shown
        fitting.append((kept, style))
    return tuple(fitting)


def columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(_columns(letter) for letter in text)


def pad(text: str, width: int) -> str:
    """The text, `width` columns wide at least."""
    return text + " " * (width - columns(text))


def wrap(phrases: Sequence[str], width: int) -> list[str]:
    """The phrases in as few rows as they fit into; none is broken."""
    rows: list[str] = []
    for phrase in phrases:
        if rows and columns(rows[-1]) + 2 + columns(phrase) <= width:
            rows[-1] += "  " + phrase
        else:
            rows.append(phrase)
    return rows


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
