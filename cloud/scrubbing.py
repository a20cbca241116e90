"""What must be read by nobody is taken out of texts and fields: secrets, and the numbers of payment cards. Pure."""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

HIDDEN = "***"

_OF_SECRETS = (
    "password|passwd|passphrase|pass|token|secret|authorization|cookie|pin|code|totp|otp|seed|api[_-]?key|private[_-]?key|"
    "encryption[_-]?keys?|index[_-]?key|csrf|session|credential"
)
_SECRET_NAME = re.compile(rf"(?:^|[_.-])(?:{_OF_SECRETS})s?(?:$|[_.-])")
_TELLS_NOTHING = re.compile(
    r"[_.-](?:ids?|sha256|digest|prefix|names?|at|count|kind|status|renewed|used)$|^status_code$"
)
"""What may be said of a secret: which one it is, when it was used."""
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_SAID = re.compile(
    r"\blarder(?:access|refresh)?_[A-Za-z0-9_-]{20,}"
    r"|\bwhsec_[A-Za-z0-9+/=]{20,}"
    r"|(?<=/reset/)[A-Za-z0-9_-]{20,}|(?<=/invitations/)[A-Za-z0-9_-]{40,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
    r"|__Host-[\w-]+=[^\s;,\"']+"
    rf"|(?i:\b(?:\w+_)?(?:{_OF_SECRETS})s?[\"']?\s*[=:]\s*(?:(?:bearer|basic)\s+)?)(?:\"[^\"]*\"|'[^']*'|[^\s\"'&,;)}}\]]+)"
)
_SIGN = re.compile(rf"larder|whsec_|/reset/|/invitations/|eyj|://|bearer|basic|__host-|{_OF_SECRETS}")
_WORD_BEFORE = re.compile(r"\w+[\"']?\s*[=:]\s*|\w+\s+")

_DIGITS = re.compile(
    r"(?P<id>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b|\b[0-9a-f]{32,}\b)"
    r"|[0-9]+(?:[ -][0-9]+)*"
)
_GROUP = re.compile(r"[0-9]+")
_THIRTEEN = re.compile(r"[0-9][0-9 -]{11,}[0-9]")
"""Without this a text has no card's number: to look for it takes less time."""
_ALIKE = bytes.maketrans(b"123456789", b"0" * 9)
_BETWEEN_DIGITS = b" -"
_THIRTEEN_ALIKE = b"0" * 13
"""All digits made alike and what may stand between them left out, no card's number is without this.

To look for it costs a tenth of an expression, and each fact of a gateway is looked at.
"""
_BESIDE_IDS = re.compile(
    rb"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b|\b[0-9a-f]{32,}\b"
    rb"|([0-9][0-9 -]{11,}[0-9])"
)
"""Its group is what is left of _THIRTEEN when ids are passed over, which are full of digits and hyphens."""
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_DEEPEST = 8
_ROWS = (list, tuple, set, frozenset)

Judge = Callable[[str], bool]


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether a field of this name holds a secret."""
    plain = _CAPITAL.sub("_", name).lower()
    return _SECRET_NAME.search(plain) is not None and _TELLS_NOTHING.search(plain) is None


def may_be_card(digits: str) -> bool:
    """Whether these may be the digits of a payment card: 13 to 19, right by Luhn. Of other numbers one in ten is."""
    if not 13 <= len(digits) <= 19:
        return False
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + sum(_DOUBLED[digit] for digit in backwards[1::2])) % 10 == 0


def is_card(digits: str) -> bool:
    """Narrower, where a mistake does harm: as cards are numbered today. A barcode of 13 digits is none."""
    return len(digits) > 13 and digits[0] in "23456" and may_be_card(digits)


def without_cards(text: str, judge: Judge = may_be_card) -> str:
    """The text without payment cards' numbers. Digits of UUIDs and digests are none."""
    if len(text) < 13 or _THIRTEEN.search(text) is None:
        return text
    return _DIGITS.sub(partial(_without_cards, judge), text)


def _without_cards(judge: Judge, found: re.Match[str]) -> str:
    text = found[0]
    if found["id"] is not None and not text.isdigit():
        return text
    for start, end in _cards(text, judge):
        return text[:start] + HIDDEN + without_cards(text[end:], judge)
    return text


def _cards(text: str, judge: Judge) -> Iterator[tuple[int, int]]:
    """From where to where groups of digits, side by side, are a card's number."""
    groups = [match.span() for match in _GROUP.finditer(text)]
    for first, (start, _) in enumerate(groups):
        digits = ""
        for begin, end in groups[first:]:
            digits += text[begin:end]
            if len(digits) > 19:
                break
            if judge(digits):
                yield start, end


def where_card(text: bytes) -> str | None:
    """The dotted path to a payment card's number in JSON, '' for the whole; None without one."""
    if not _may_hold_card(text):
        return None
    return next(_where_card(json.loads(text, parse_int=str), ()), None)


def _may_hold_card(text: bytes) -> bool:
    """False of nearly all JSON there is. Digits may also be written as escapes."""
    if b"\\u00" in text:
        return True
    if _THIRTEEN_ALIKE not in text.translate(_ALIKE, _BETWEEN_DIGITS):
        return False
    return any(found.lastindex for found in _BESIDE_IDS.finditer(text))


def _where_card(value: object, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, dict):
        for name, held in value.items():
            yield from _where_card(name, path)
            yield from _where_card(held, (*path, name))
    elif isinstance(value, list):
        for place, held in enumerate(value):
            yield from _where_card(held, (*path, str(place)))
    elif isinstance(value, str) and without_cards(value, is_card) != value:
        yield ".".join(path)


def json_without_cards(line: bytes) -> bytes:
    """JSON without payment cards' numbers in its texts; what is no JSON stays as it is."""
    if not _may_hold_card(line):
        return line
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return line
    hidden = _texts_without_cards(value)
    return line if hidden == value else json.dumps(hidden).encode()


def _texts_without_cards(value: object) -> object:
    if isinstance(value, dict):
        return {name: _texts_without_cards(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_texts_without_cards(held) for held in value]
    return without_cards(value, is_card) if isinstance(value, str) else value


def scrubbed_text(text: str) -> str:
    """The text without what looks like a secret or a payment card's number."""
    if _may_say_secret(text):
        text = _SAID.sub(_hidden, text)
    return without_cards(text)


def _may_say_secret(text: str) -> bool:
    """False of nearly all there is, ids and single words, in no time: every event of the log comes this way."""
    if ":" in text or "=" in text or " " in text:
        return _SIGN.search(text.lower()) is not None
    return "larder" in text or "/" in text or "eyJ" in text


def _hidden(found: re.Match[str]) -> str:
    """Keeps the word before a secret: `password=***`."""
    word = _WORD_BEFORE.match(found[0])
    return (word[0] if word is not None else "") + HIDDEN


def scrubbed(value: object, depth: int = 0) -> object:
    """The value without secrets: texts by what they look like, fields by their names, however deep."""
    if isinstance(value, str):
        return scrubbed_text(value)
    if isinstance(value, dict):
        return (
            HIDDEN if depth > _DEEPEST else {name: scrubbed_field(str(name), value[name], depth + 1) for name in value}
        )
    if isinstance(value, _ROWS):
        return HIDDEN if depth > _DEEPEST else [scrubbed(held, depth + 1) for held in value]
    if isinstance(value, bytes):
        return scrubbed_text(value.decode(errors="replace"))
    return HIDDEN if isinstance(value, int) and value > 10**12 and may_be_card(str(value)) else value


def scrubbed_field(name: str, value: object, depth: int = 0) -> object:
    """The value of a field of this name without secrets. Whether there is one may be told."""
    if value is None or isinstance(value, bool) or not is_secret(name):
        return scrubbed(value, depth)
    return HIDDEN
