"""A window on simulated devices: `python -m firmware.simulator.watch DIR …`, each DIR a simulator's `--state`.

Shows what a person at the machine would see, and takes a hand in it by key. Without a terminal, or on a dumb one, it
prints one picture.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from firmware.simulator.control import ask
from firmware.simulator.picture import Sight, View, draw
from firmware.simulator.spans import Span, Style
from firmware.simulator.terminal import Terminal
from firmware.simulator.world import last_events

LOOK_S = 0.15
ANSWER_S = 1.0
EVENTS = 60
RESTOCK = 5
WARMER = {"+": 100, "=": 100, "-": -100}
"""Key → hundredths of a degree."""
PLAIN_SIZE = (80, 24)


class Watch:
    """One person's look at several devices. `coin_minor` is what the coin key inserts."""

    def __init__(self, folders: Sequence[Path], coin_minor: int) -> None:
        self._folders = folders
        self._coin_minor = coin_minor
        self._device = 0
        self._slot = 0
        self._note: Span = ("", Style.PLAIN)

    def view(self) -> View:
        """As it is now."""
        sights = [Sight(_name(folder), _told(folder), last_events(folder, EVENTS)) for folder in self._folders]
        slots = len(sights[self._device].coils)
        self._slot = min(self._slot, max(0, slots - 1))
        return View(sights, self._device, self._slot, self._note)

    def press(self, key: str, view: View) -> None:
        """Do what the key stands for, to what was seen; other keys do nothing."""
        sight = view.sights[self._device]
        if key in ("tab", "right", "left"):
            self._device = (self._device + (-1 if key == "left" else 1)) % len(self._folders)
            self._slot, self._note = 0, ("", Style.PLAIN)
        elif key in ("up", "down") and sight.coils:
            self._slot = (self._slot + (1 if key == "down" else -1)) % len(sight.coils)
        elif sight.told is not None:
            for words in self._requests(key, sight.told, list(sight.coils)[self._slot]):
                self._note = self._do(words)

    def _requests(self, key: str, told: dict[str, Any], slot: str) -> list[list[str]]:
        """What the key asks of the simulator (control.py)."""
        match key:
            case "j":
                return [["unjam" if told["coils"][slot]["jammed"] else "jam", slot]]
            case "r":
                return [["restock", slot, str(RESTOCK)]]
            case "d":
                return [["door", "close" if told["door_is_open"] else "open"]]
            case "b":
                return [["beam", "free" if told["beam_is_blocked"] else "blocked"]]
            case "l":
                return [["link", "down" if told["link_is_up"] else "up"]]
            case "c":
                return [["coin", str(self._coin_minor)]]
            case "+" | "=" | "-":
                zones = told["temperatures"].items()
                return [["temperature", zone, str((now + WARMER[key]) / 100)] for zone, now in zones]
        return []

    def _do(self, words: list[str]) -> Span:
        request = " ".join(words)
        try:
            answer = ask(self._folders[self._device], *words, deadline_s=ANSWER_S)
        except OSError as error:
            return f" {request}: {error}", Style.BAD
        return (f" {request}: done", Style.GOOD) if answer["ok"] else (f" {request}: {answer['error']}", Style.BAD)


def main() -> int:
    """The exit status."""
    options = _options()
    watch = Watch(options.folders, options.coin)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        for line in draw(watch.view(), *PLAIN_SIZE):
            print("".join(text for text, _ in line).rstrip())
        return 0
    try:
        with Terminal(sys.stdin, sys.stdout, os.environ) as terminal:
            run(watch, terminal)
    except KeyboardInterrupt:
        return 0
    return 0


def run(watch: Watch, terminal: Terminal) -> None:
    """Until the person quits."""
    while True:
        view = watch.view()
        terminal.show(draw(view, *terminal.size))
        for key in terminal.keys(LOOK_S):
            if key == "q":
                return
            watch.press(key, view)
            view = watch.view()


def _name(folder: Path) -> str:
    return folder.resolve().name.removeprefix("device-")


def _told(folder: Path) -> dict[str, Any] | None:
    """None if no simulator runs there."""
    try:
        return ask(folder, "status", deadline_s=ANSWER_S)
    except OSError:
        return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m firmware.simulator.watch", description=__doc__)
    parser.add_argument("folders", metavar="DIR", type=Path, nargs="+", help="a simulator's --state")
    parser.add_argument("--coin", type=int, default=1000, metavar="MINOR", help="what the coin key inserts")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
