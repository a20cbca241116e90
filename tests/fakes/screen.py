"""A terminal without a person: a pseudo-terminal, and the screen that a program draws on it."""

import asyncio
import codecs
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Screen:
    """Knows the escape sequences that firmware/simulator/terminal.py writes; any other fails the test."""

    def __init__(self, columns: int, rows: int) -> None:
        self._master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self._rows: dict[int, str] = {}
        self._at = 1
        self._unread = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.modes: dict[str, bool] = {}
        """Private mode → whether it is set: 1049 another screen, 25 a cursor, 7 wrapped lines."""
        self.colours: set[str] = set()
        self.faults: list[str] = []

    def resize(self, columns: int, rows: int) -> None:
        self.size = columns, rows
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    @property
    def text(self) -> str:
        return "\n".join(self._rows.get(row, "").rstrip() for row in range(1, max(self._rows, default=0) + 1))

    @property
    def mode(self) -> list[Any]:
        """What the terminal does with what is typed."""
        return termios.tcgetattr(self.slave)

    def read(self) -> None:
        """What the program has written by now. What is no screen's is kept for the end of the test."""
        try:
            self._read()
        except (AssertionError, ValueError) as error:
            self.faults.append(repr(error))

    def _read(self) -> None:
        data = self._unread + self._decoder.decode(os.read(self._master, 65536))
        whole, mark, rest = data.rpartition("\x1b")
        is_whole = not mark or SEQUENCE.match(mark + rest) is not None
        data, self._unread = (data, "") if is_whole else (whole, mark + rest)
        place = 0
        for found in SEQUENCE.finditer(data):
            self._put(data[place : found.start()])
            self._obey(found[1], found[2])
            place = found.end()
        self._put(data[place:])

    def close(self) -> None:
        os.close(self._master)
        os.close(self.slave)

    @property
    def descriptor(self) -> int:
        return self._master

    def _put(self, text: str) -> None:
        for number, line in enumerate(text.split("\r\n")):
            assert line.isprintable(), repr(line)
            self._at += 1 if number else 0
            self._rows[self._at] = self._rows.get(self._at, "") + line

    def _obey(self, figures: str, letter: str) -> None:
        if letter in "hl" and figures.startswith("?"):
            self.modes[figures[1:]] = letter == "h"
        elif letter == "H":
            self._at = int(figures.partition(";")[0])
            self._rows[self._at] = ""
        elif letter == "J":
            self._rows = {}
        elif letter == "m":
            self.colours |= {code for code in figures.split(";") if code.startswith("3")}
        else:
            assert letter == "K", (figures, letter)


@asynccontextmanager
async def screen(columns: int = 80, rows: int = 24) -> AsyncIterator[Screen]:
    """A program is to be started on its `slave`. What it writes is read as it comes."""
    found = Screen(columns, rows)
    loop = asyncio.get_running_loop()
    loop.add_reader(found.descriptor, found.read)
    try:
        yield found
    finally:
        loop.remove_reader(found.descriptor)
        found.close()
    assert not found.faults
