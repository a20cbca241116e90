"""FAULTS.md names everything that a device complains of, and nothing that it does not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.vending.panel import _PATTERNS, STEPS, Panel
from firmware.vending.signals import CREDIT, IDLE, LOCKED

FIRMWARE = Path(__file__).parents[2] / "firmware"
GUIDE = (FIRMWARE / "FAULTS.md").read_text()
LEVELS = {"warn": "### Warnings", "alarm": "### Errors"}


def told(level: str, source: str) -> Iterator[str]:
    """The events that `source` logs at this level; of a choice, each."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == level:
            texts = [part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
            assert texts, f"an event is to be written out: {ast.unparse(node)}"
            yield from (str(text) for text in texts)


def rows(title: str) -> list[list[str]]:
    """The cells of the table below a title; the first one without its backquotes."""
    below = GUIDE.split(title, 1)[1].split("\n#", 1)[0]
    lines = [line for line in below.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [[cell.strip("`") if number == 0 else cell for number, cell in enumerate(row)] for row in cells]


def logged(level: str) -> set[str]:
    sources = [FIRMWARE / "main.py", *sorted((FIRMWARE / "vending").glob("*.py"))]
    return {event for source in sources for event in told(level, source.read_text())}


@pytest.mark.parametrize("level", LEVELS)
def test_every_row_tells_of_a_complaint_and_says_what_to_do(level: str) -> None:
    found = rows(LEVELS[level])
    assert len(found) > 8
    assert [row for row in found if len(row) != 3 or not all(row)] == []
    names = [row[0] for row in found]
    assert names == sorted(set(names))
    assert set(names) - logged(level) == set(), "nothing logs this any more"


def test_every_complaint_has_one_row() -> None:
    names = [row[0] for level in LEVELS for row in rows(LEVELS[level])]
    assert logged("warn") | logged("alarm") == set(names)
    assert len(names) == len(set(names)), "what is logged at both levels is told of as the worse"


def test_a_choice_between_two_events_is_seen() -> None:
    assert set(told("warn", "warn('a' if odd else 'b', reason='c')")) == {"a", "b"}


class Lamp:
    """A line, and as a timer it never calls back. `shown` is what was written to it."""

    PERIODIC = 1

    def __init__(self) -> None:
        self.shown = ""

    def write(self, level: int) -> None:
        self.shown += "●" if level else "○"

    def init(self, **_: object) -> None:
        """The test steps by itself."""


def test_every_signal_is_shown_as_it_looks_and_sounds() -> None:
    expected = []
    for kind in _PATTERNS:
        light, sound = Lamp(), Lamp()
        panel = Panel(light, sound, Lamp())
        panel.show(kind)
        for _ in range(STEPS):
            panel.step(None)
        expected.append([kind, light.shown, sound.shown])
    assert [row[:3] for row in rows("## Light and sound")] == expected


def test_a_beep_is_heard_to_its_end_and_not_begun_again() -> None:
    sound = Lamp()
    panel = Panel(None, sound, Lamp())
    panel.show(IDLE)
    panel.step(None)
    panel.show(CREDIT)
    for kind in (IDLE, IDLE, LOCKED, IDLE):
        panel.show(kind)
        panel.step(None)
    assert sound.shown == "○" + "●○" + "●●"


def test_what_the_guides_point_to_is_there() -> None:
    for guide in [*FIRMWARE.glob("*.md"), FIRMWARE / "production/README.md"]:
        text = guide.read_text()
        for path, anchor in re.findall(r"\]\(([\w./]*)(?:#([\w-]+))?\)", text):
            target = guide.parent / path if path else guide
            assert target.exists(), (guide, path)
            titles = {
                re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
                for title in re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            }
            assert not anchor or anchor in titles, (guide.name, path, anchor)
