"""firmware/README.md is the map of the firmware: every file has its place in it."""

import re
from pathlib import Path

FIRMWARE = Path(__file__).parents[2] / "firmware"


def test_every_file_has_its_place() -> None:
    table = (FIRMWARE / "README.md").read_text().split("## Where things are in `vending/`")[1]
    named = [
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+\.py)`", row)
    ]
    assert len(named) == len(set(named))
    assert set(named) == {path.name for path in (FIRMWARE / "vending").glob("*.py")} - {"__init__.py"}


def test_every_chapter_is_listed() -> None:
    listed = set(re.findall(r"\]\((\w+\.md)\)", (FIRMWARE / "README.md").read_text()))
    assert listed >= {path.name for path in FIRMWARE.glob("*.md")} - {"README.md"}
