"""A terminal as a screen with keys: raw on entry, on exit as it was, whatever happens between."""

import os
import select
import signal
import sys
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import IO, Self

from firmware.simulator.spans import Line, Style

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
"""A screen of its own, without cursor and without wrapped lines; and back."""
ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left", "Z": "left"}
"""The last letter of an escape sequence; Z is Tab backwards."""

_WEIGHT = {Style.QUIET: "2", Style.STRONG: "1", Style.CHOSEN: "7", Style.BUSY: "1", Style.BAD: "1"}
_COLOUR = {Style.GOOD: "32", Style.BUSY: "33", Style.BAD: "1;31"}


class Terminal:
    """For `with`. Raises OSError on entry if there is no terminal, SystemExit inside when told to end or hung up."""

    def __init__(self, keys: IO[str], screen: IO[str], environment: Mapping[str, str]) -> None:
        self._keys = keys.fileno()
        self._screen = screen
        self._has_colour = not environment.get("NO_COLOR")
        self._shown: tuple[tuple[int, int], list[str]] = ((0, 0), [])

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._keys)
        self._handlers = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
        try:
            self._make_raw()
            self._write(ENTER)
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        columns, rows = os.get_terminal_size(self._screen.fileno())
        return columns or 80, rows or 24

    def show(self, lines: Sequence[Line]) -> None:
        """Of one size's frame only those rows are written that have changed."""
        rows = [paint(line, self._has_colour) for line in lines]
        size, shown = self._shown
        if size != self.size:
            shown = []
            self._write("\x1b[0m\x1b[2J")
        before = shown + [""] * (len(rows) - len(shown))
        self._write(
            "".join(f"\x1b[{row + 1};1H{rows[row]}\x1b[K" for row in range(len(rows)) if rows[row] != before[row])
        )
        self._shown = (self.size, rows)

    def keys(self, seconds: float) -> list[str]:
        """What was pressed within this time; returns at the first key. At the end of the input it is `q`."""
        ready, _, _ = select.select([self._keys], [], [], seconds)
        if not ready:
            return []
        data = os.read(self._keys, 256)
        return decode(data) if data else ["q"]

    def _make_raw(self) -> None:
        """Keys come at once and unseen; Ctrl-C still interrupts, Ctrl-Z would leave this screen behind."""
        mode = termios.tcgetattr(self._keys)
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[6][termios.VMIN], mode[6][termios.VTIME], mode[6][termios.VSUSP] = 1, 0, b"\0"
        termios.tcsetattr(self._keys, termios.TCSANOW, mode)

    def _restore(self) -> None:
        # Of a terminal that has been closed, nothing can be restored.
        with suppress(OSError, termios.error):
            termios.tcsetattr(self._keys, termios.TCSANOW, self._before)
            self._write(LEAVE)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _write(self, text: str) -> None:
        self._screen.write(text)
        self._screen.flush()


def paint(line: Line, has_colour: bool) -> str:
    """The line with the escape sequences of its styles; without colour some are bold, dim or inverse."""
    painted = ""
    for text, style in line:
        code = (_COLOUR.get(style) if has_colour else None) or _WEIGHT.get(style)
        painted += f"\x1b[{code}m{text}\x1b[0m" if code and text else text
    return painted


def decode(data: bytes) -> list[str]:
    """The keys in what a terminal sends: characters, `tab`, and the names of arrows. What else there is, is dropped."""
    keys: list[str] = []
    text = data.decode("utf-8", "ignore")
    place = 0
    while place < len(text):
        letter = text[place]
        place += 1
        if letter == "\x1b" and text[place : place + 1] in ("[", "O"):
            place += 1
            while place < len(text) and not "@" <= text[place] <= "~":
                place += 1
            if text[place : place + 1] in ARROWS:
                keys.append(ARROWS[text[place]])
            place += 1
        elif letter == "\t":
            keys.append("tab")
        elif letter.isprintable():
            keys.append(letter)
    return keys


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
