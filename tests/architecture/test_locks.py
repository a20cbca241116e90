"""What is installed is pinned by hash, says nothing of where it comes from, and is what pyproject.toml asks for."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pins(lock: Path) -> dict[str, Version]:
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE)
    return {name.lower(): Version(version) for name, version in found}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.name))
def test_every_pin_has_a_hash_and_no_lock_names_a_host(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    unhashed = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if "--hash=sha256:" not in entry]
    assert not unhashed


@pytest.mark.parametrize("folder", ["edge/kiosk/frontend", "cloud/dashboard/frontend", "tests/firmware/vm"])
def test_every_npm_package_has_a_hash_and_no_lock_names_a_host(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert not [name for name, package in packages.items() if "resolved" in package or "integrity" not in package]


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """`./dev lock` brings them together again."""
    everything_asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = everything_asked["project"], everything_asked["dependency-groups"]
    extras = project["optional-dependencies"]
    asked = {
        "dev.txt": [*project["dependencies"], *extras["edge"], *extras["cloud"], *extras["device"], *extras["dev"]],
        "edge.txt": [*project["dependencies"], *extras["edge"]],
        "cloud.txt": [*project["dependencies"], *extras["cloud"]],
        "device.txt": [*project["dependencies"], *extras["device"]],
        "esp32.txt": groups["esp32"],
    }
    for lock, wishes in asked.items():
        pinned = pins(ROOT / "requirements" / lock)
        for wish in map(Requirement, wishes):
            assert wish.name in pinned, f"{lock} lacks {wish.name}"
            assert pinned[wish.name] in wish.specifier, f"{lock} pins another {wish.name}"
    everything = pins(ROOT / "requirements" / "dev.txt")
    for lock in ("edge.txt", "cloud.txt", "device.txt"):
        assert pins(ROOT / "requirements" / lock).items() <= everything.items(), "production runs what was tested"
