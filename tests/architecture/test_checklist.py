"""What the cloud's checklist claims can be looked up: each path and test that it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKLIST = ROOT / "cloud/CHECKLIST.md"
NAMED = re.compile(r"`((?:cloud|tests)(?:/[\w.-]+)+)(?:::(\w+))?`")


def test_every_path_and_test_that_the_checklist_names_is_there() -> None:
    named = NAMED.findall(CHECKLIST.read_text())
    assert len(named) >= 60
    for path, test in named:
        assert (ROOT / path).exists(), path
        if test:
            assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path}::{test}"


def test_every_line_of_the_checklist_is_proven_or_says_what_is_missing() -> None:
    lines = [line for line in CHECKLIST.read_text().splitlines() if re.match(r"\| (\d)", line)]
    assert len(lines) >= 60
    assert [line for line in lines if not NAMED.search(line) and "*not yet*" not in line] == []
