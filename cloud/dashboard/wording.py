"""How money, times and states are put into words on pages."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

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

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "a Mac"),
    ("Linux", "Linux"),
)
"""Marks in a User-Agent; the first that is found counts, since later ones are claimed by many."""

_TONES = {
    **dict.fromkeys(("dispensed", "settled"), "good"),
    **dict.fromkeys(("ambiguous", "no_drop"), "bad"),
    **dict.fromkeys(("not_started", "cancelled", "expired"), ""),
}
"""Of the outcomes of vends and the states of orders. What is not among them is under way."""


def digits_of(currency: str) -> int:
    """How many digits after the point its amounts have."""
    return _EXPONENTS.get(currency, 2)


def money(minor: int, currency: str) -> str:
    """3050, "INR" → "INR 30.50"."""
    digits = digits_of(currency)
    whole, rest = divmod(minor, 10**digits)
    return f"{currency} {whole:,}.{rest:0{digits}}" if digits else f"{currency} {whole:,}"


_CLOCK = {"minute": "%Y-%m-%d %H:%M", "second": "%Y-%m-%d %H:%M:%S", "time": "%H:%M:%S"}


def clock_time(moment: datetime, precision: str = "second") -> str:
    """In UTC: date and time to the minute or second, or the time of a day that is said beside it. Raises KeyError."""
    return moment.astimezone(UTC).strftime(_CLOCK[precision])


def exact(moment: datetime) -> str:
    """As `datetime` attributes and scripts read it: ISO 8601 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def outcome(word: str | None) -> str:
    """A vend's outcome for people."""
    return "running" if word is None else _OUTCOMES[word]


def tone(word: str | None) -> str:
    """The class of a badge for an outcome or a state."""
    return _TONES.get(word or "", "busy")


def in_words(name: str) -> str:
    """api_key_created → API key created."""
    words = name.replace("_", " ").replace("api key", "API key")
    return words[:1].upper() + words[1:]


def browser(agent: str) -> str:
    """What a User-Agent says, as far as people know it: Firefox on Linux."""
    name = next((name for mark, name in _BROWSERS if mark in agent), "A browser")
    system = next((system for mark, system in _SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if system else name


def host(url: str) -> str:
    """Whom a URL names, and at which port if it says so."""
    return urlsplit(url).netloc


def install_filters(pages: Blueprint) -> None:
    """Make them known to templates."""
    for function in (money, clock_time, exact, outcome, tone, in_words, browser, host):
        pages.add_app_template_filter(function)
