"""The records of a LowDB file, one after the other, each with its very text. Pure: takes pieces of bytes, keeps one.

LowDB writes `{"orders": [ … ], …}` in place, so a crash leaves the begin of a file. What is whole before the break
comes out; where it breaks is told.
"""

import codecs
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

RECORD_CHARACTERS = 1 << 20
"""A record is no longer than this."""
TOP = ""
"""In place of a collection's name: the file itself is a list."""
_SPACE = " \t\r\n"
_BOM = "\ufeff"


@dataclass(frozen=True)
class Found:
    """One record of a collection: its text, what it says, and where in the file it begins."""

    collection: str
    text: str
    value: object
    offset: int
    """In bytes, as `offset` everywhere here."""


@dataclass(frozen=True)
class Other:
    """Something beside the collections: its key, and how many things are in it."""

    key: str
    count: int


@dataclass(frozen=True)
class Broken:
    """From here on the file is not to be read."""

    offset: int
    why: str


class _Break(Exception):
    """The text from here on is no JSON, or ends too early."""


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_number)


def scan(pieces: Iterator[bytes], collections: Mapping[str, object]) -> Iterator[Found | Other | Broken]:
    """Every record of these collections and everything else there is; at most one `Broken`, which is the last.

    Nothing but space, or `{}`, holds no record and is whole.
    """
    window = _Window(pieces)
    try:
        yield from _file(window, collections)
    except _Break as error:
        yield Broken(window.offset, str(error))


def _file(window: "_Window", collections: Mapping[str, object]) -> Iterator[Found | Other]:
    window.skip(_BOM)
    first = window.peek()
    if first == "[" and TOP in collections:
        yield from _list(window, TOP)
    elif first == "{":
        window.take("{")
        yield from _members(window, collections)
    elif first:
        raise _Break("no JSON object begins here")
    if window.peek():
        raise _Break("something follows the end")


def _members(window: "_Window", collections: Mapping[str, object]) -> Iterator[Found | Other]:
    if window.peek() == "}":
        window.take("}")
        return
    while True:
        key, _ = window.value()
        if not isinstance(key, str):
            raise _Break("a key must be a text")
        window.take(":")
        if key in collections and key != TOP and window.peek() == "[":
            yield from _list(window, key)
        elif window.peek() == "[":
            yield Other(key, sum(1 for _ in _list(window, key)))
        else:
            value, _ = window.value()
            yield Other(key, len(value) if isinstance(value, dict) else 1)
        if window.take_either(",", "}") == "}":
            return


def _list(window: "_Window", collection: str) -> Iterator[Found]:
    window.take("[")
    if window.peek() == "]":
        window.take("]")
        return
    while True:
        window.peek()
        offset = window.offset
        value, text = window.value()
        yield Found(collection, text, value, offset)
        if window.take_either(",", "]") == "]":
            return


class _Window:
    """The part of the text that is being read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at = "", 0
        self._ended = False
        self._before = 0
        self._counted = 0

    @property
    def offset(self) -> int:
        """Bytes before the place that is read."""
        self._before += len(self._text[self._counted : self._at].encode())
        self._counted = self._at
        return self._before

    def skip(self, letters: str) -> None:
        """Go over what of these stands here."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in letters:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return

    def peek(self) -> str:
        """The next letter that is no space; "" at the end."""
        self.skip(_SPACE)
        return self._text[self._at : self._at + 1]

    def take(self, letter: str) -> None:
        """Go over this letter. Raises _Break if another one stands here."""
        self.take_either(letter, letter)

    def take_either(self, one: str, other: str) -> str:
        """Go over one of two letters; which. Raises _Break."""
        found = self.peek()
        if found not in (one, other) or not found:
            raise _Break(f"{one!r} is missing" if found else "the file ends in the middle")
        self._at += 1
        return found

    def value(self) -> tuple[object, str]:
        """Whatever stands here, and its text. Raises _Break."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at <= RECORD_CHARACTERS and self._more():
                    continue
                raise _Break("the file ends in the middle" if self._ended else _why(error)) from None
            if end == len(self._text) and self._more():
                continue  # a number may go on
            text, self._at = self._text[self._at : end], end
            return found, text

    def _more(self) -> bool:
        """Whether there was another piece. Raises _Break where it is no UTF-8."""
        if self._ended:
            return False
        piece = next(self._pieces, None)
        self._ended = piece is None
        offset = self.offset
        try:
            text = self._decoder.decode(piece or b"", final=self._ended)
        except UnicodeDecodeError as error:
            # What was right before the wrong byte can still be read.
            text = (error.object[: error.start]).decode()
            self._ended = True
            if not text:
                raise _Break("is not written in UTF-8") from None
        self._text, self._at, self._counted = self._text[self._at :] + text, 0, 0
        self._before = offset
        return bool(text) or not self._ended


def _why(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error) or type(error).__name__
