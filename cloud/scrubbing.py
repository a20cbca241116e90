"""What must be read by nobody is taken out of texts and fields: secrets, and numbers of payment cards. Pure."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

HIDDEN = "***"

_OF_SECRETS = (
    "password|passwd|passphrase|pass|token|secret|authorization|cookie|pin|code|totp|otp|seed|api_?key|private_?key|"
    "encryption_?keys?|index_?key|csrf|session|credential"
)
_SECRET = re.compile(rf"(?:^|[_.-])(?:{_OF_SECRETS})s?(?:$|[_.-])")
_TELLS_NOTHING = re.compile(
    r"[_.-](?:ids?|sha256|digest|prefix|names?|at|count|kind|status|renewed|used)$|^status_code$"
)
"""What may be said of a secret: which one it is, when it was used."""
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_SPOKEN = re.compile(
    r"\blarder_[A-Za-z0-9_-]{20,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
    rf"|(?i:\b(?:\w+_)?(?:{_OF_SECRETS})s?[\"']?\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s\"'&,;)}}\]]+)"
)
_SIGNS_OF_A_SECRET = re.compile(rf"larder_|eyJ|(?i:bearer|basic|{_OF_SECRETS})|://")

_DIGITS = re.compile(
    r"(?P<id>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b|\b[0-9a-f]{32,}\b)"
    r"|[0-9]+(?:[ -][0-9]+)*"
)
_THIRTEEN_DIGITS = re.compile(r"[0-9](?:[ -]?[0-9]){12}")
_GROUP = re.compile(r"[0-9]+")
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_DEEPEST = 8


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    plain = _CAPITAL.sub("_", name).lower()
    return _SECRET.search(plain) is not None and _TELLS_NOTHING.search(plain) is None


def is_card(digits: str) -> bool:
    """Whether these 13 to 19 digits may be a payment card's (Luhn)."""
    if not 13 <= len(digits) <= 19:
        return False
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + sum(_DOUBLED[digit] for digit in backwards[1::2])) % 10 == 0


def without_cards(text: str) -> str:
    """The text without payment cards' numbers. Digits of UUIDs and digests are none."""
    if _THIRTEEN_DIGITS.search(text) is None:
        return text
    return _DIGITS.sub(_without_cards, text)


def _without_cards(found: re.Match[str]) -> str:
    text = found[0]
    if found["id"] is not None and not text.isdigit():
        return text
    for start, end in _cards(text):
        return text[:start] + HIDDEN + without_cards(text[end:])
    return text


def _cards(text: str) -> Iterator[tuple[int, int]]:
    """From where to where groups of digits, side by side, are a card's number."""
    groups = [match.span() for match in _GROUP.finditer(text)]
    for first, (start, _) in enumerate(groups):
        digits = ""
        for begin, end in groups[first:]:
            digits += text[begin:end]
            if len(digits) > 19:
                break
            if is_card(digits):
                yield start, end


def scrubbed_text(text: str) -> str:
    """The text without what looks like a secret or a payment card's number."""
    if _SIGNS_OF_A_SECRET.search(text) is not None:
        text = _SPOKEN.sub(_hidden, text)
    return without_cards(text)


def _hidden(found: re.Match[str]) -> str:
    """Keeps the word before a secret: `password=***`."""
    text = found[0]
    word = re.match(r"[\w]+[\"']?\s*[=:]\s*|\w+\s+", text)
    return (word[0] if word is not None else "") + HIDDEN


def scrubbed(value: object, depth: int = 0) -> object:
    """The value without secrets: texts by what they look like, fields by their names, however deep."""
    if isinstance(value, str):
        return scrubbed_text(value)
    if isinstance(value, Mapping):
        return HIDDEN if depth > _DEEPEST else {name: field(str(name), held, depth + 1) for name, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return HIDDEN if depth > _DEEPEST else [scrubbed(held, depth + 1) for held in value]
    if isinstance(value, bytes):
        return scrubbed_text(value.decode(errors="replace"))
    if isinstance(value, int) and is_card(str(value)):
        return HIDDEN
    return value


def field(name: str, value: object, depth: int = 0) -> object:
    """The value of a field of this name without secrets. Whether there is one may be told."""
    if value is None or isinstance(value, bool) or not is_secret(name):
        return scrubbed(value, depth)
    return HIDDEN
