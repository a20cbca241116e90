"""How money, times and states are put into words on pages."""

from datetime import datetime

from quart import Blueprint

_EXPONENTS = {"JPY": 0, "KRW": 0, "VND": 0, "BHD": 3, "KWD": 3, "OMR": 3}
"""Digits after the point where they are not two (ISO 4217)."""

_OUTCOMES = {
    "dispensed": "dispensed",
    "not_started": "not started",
    "no_drop": "no drop",
    "cancelled": "cancelled",
    "ambiguous": "unclear",
}


def money(minor: int, currency: str) -> str:
    """3050, "INR" → "INR 30.50"."""
    digits = _EXPONENTS.get(currency, 2)
    whole, rest = divmod(minor, 10**digits)
    return f"{currency} {whole:,}.{rest:0{digits}}" if digits else f"{currency} {whole:,}"


def clock_time(moment: datetime) -> str:
    """Date and time in UTC, to the second."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def outcome(word: str | None) -> str:
    """A vend's outcome for people."""
    return "running" if word is None else _OUTCOMES[word]


def install_filters(pages: Blueprint) -> None:
    """Make them known to templates."""
    for function in (money, clock_time, outcome):
        pages.add_app_template_filter(function)
