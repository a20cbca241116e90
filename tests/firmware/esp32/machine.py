"""MicroPython's `machine` as far as board.py asks for it, on a PC: it tells what becomes of pins and of the board.

The first feeding of the watchdog is the moment at which the program dies, of what the variable DIES_OF names, with
every output high. It stands for a death in mid-turn after which no task is there to lower its pin.
"""

import builtins
import json
import os
from collections.abc import Callable

from firmware.simulator.micropython import add_missing_calls

add_missing_calls()
outputs: list["Pin"] = []


class Pin:
    """An input says high: nothing is closed."""

    IN, OUT, PULL_UP, IRQ_FALLING = range(4)

    def __init__(self, number: int, mode: int, pull: int | None = None, value: int = 1) -> None:
        self._number = number
        self._level = value
        if mode == self.OUT:
            outputs.append(self)

    def value(self, level: int | None = None) -> int:
        if level is not None:
            self._level = level
            print(json.dumps({"event": "pin", "number": self._number, "level": level}), flush=True)
        return self._level

    def irq(self, handler: Callable[["Pin"], None], trigger: int) -> None:
        """Nothing falls here."""


class WDT:
    def __init__(self, timeout: int) -> None:
        """Of no consequence: the program does not live that long."""

    def feed(self) -> None:
        for pin in outputs:
            pin.value(1)
        raise getattr(builtins, os.environ["DIES_OF"])


def reset() -> None:
    print(json.dumps({"event": "reset"}), flush=True)
