"""A board in the VM that does nothing but take releases (programs/boot.py), and the gateway that serves them."""

import ast
import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from firmware.vending import slots
from firmware.workbench.layout import lay_down
from firmware.workbench.releases import SOURCE, compile_app
from shared.releases import Manifest, ReleaseBundle
from tests.fakes.release_key import KEY_ID, PUBLIC
from tests.firmware.vm.device import HERE
from tests.firmware.vm.script import VmScript, boot

OLD, NEW = "0.1.0", "0.2.0"
NOW = 1000
BORROWED = "ota folder image partitions probation progress remains restart signed standing ed25519 sha512"
"""The firmware's own modules that this board has, beside what they and its boot.py import."""
BOOT = HERE / "programs/boot.py"


def program(version: str, folder: Path) -> dict[str, bytes]:
    """The board's program as it would be released, made in `folder`."""
    folder.mkdir(parents=True)
    shutil.copy(BOOT, folder)
    for name in _needed(BORROWED.split()) | _needed(_imported(BOOT)):
        shutil.copy(SOURCE / f"{name}.py", folder)
    own = (SOURCE / "__init__.py").read_text()
    (folder / "__init__.py").write_text(re.sub(r"(?m)^VERSION = .*$", f'VERSION = "{version}"', own))
    return compile_app(folder)


def _needed(names: Iterable[str]) -> set[str]:
    """These modules of the firmware, and all that they import."""
    found: set[str] = set()
    due = list(names)
    while due:
        if (name := due.pop()) not in found:
            found.add(name)
            due.extend(_imported(SOURCE / f"{name}.py"))
    return found


def _imported(path: Path) -> list[str]:
    """The modules of its own package that it imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names += [node.module] if node.module else [alias.name for alias in node.names]
    return [name for name in names if (SOURCE / f"{name}.py").exists()]


class UpdateBoard:
    """In `folder`: the flash, and what the gateway has. `old` came by cable."""

    def __init__(self, folder: Path, old: Mapping[str, bytes]) -> None:
        self.flash = folder / "flash"
        self._pc = folder / "pc"
        self._store = self._pc / "store"
        self._offers: list[tuple[str, int]] = []
        shutil.copytree(HERE / "modules", self._pc)
        self._store.mkdir()
        lay_down(self.flash, old, OLD)
        trust = {"settings": {}, "release": {KEY_ID: PUBLIC}}
        (self.flash / "trust.json").write_text(json.dumps(trust))
        partitions = self.flash / "partitions"
        partitions.mkdir()
        (partitions / "choice.json").write_text(json.dumps({"boots": "ota_0", "state": "valid"}))
        for label in ("ota_0", "ota_1"):
            (partitions / label).write_bytes(b"\xff" * 65536)
        self.offer()

    def serve(self, content: bytes) -> str:
        """The gateway has this file from now on, by its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        (self._store / digest).write_bytes(content)
        return digest

    def serve_release(self, bundle: ReleaseBundle, contents: Mapping[str, bytes]) -> tuple[str, int]:
        """The gateway has the release: what to offer."""
        for content in contents.values():
            self.serve(content)
        text = bundle.signed.to_line()
        return self.serve(text), len(text)

    def replace(self, digest: str, content: bytes) -> None:
        """The gateway gives this out for the file of that SHA-256."""
        (self._store / digest).write_bytes(content)

    def drop(self, digest: str) -> None:
        """The gateway has the file no more."""
        (self._store / digest).unlink()

    def offer(self, *offers: tuple[str, int], now: int | None = NOW) -> None:
        """What the gateway offers at each boot, and what it says the time is."""
        (self._store / "offers.json").write_text(json.dumps({"now": now, "offers": offers}))

    async def boot(self, cut: tuple[int, int] | None = None, seconds: float = 60) -> VmScript:
        return await boot(self.flash, seconds, cut, self._pc)

    @property
    def marker(self) -> dict[str, Any]:
        """As it lies on the flash; fails if it does not."""
        found = slots.read(f"{self.flash}/")
        assert found is not None
        return dict(found)

    @property
    def choice(self) -> dict[str, str]:
        """Which image the boot loader boots."""
        found: dict[str, str] = json.loads((self.flash / "partitions/choice.json").read_text())
        return found

    def holds(self, slot: str, contents: Mapping[str, bytes]) -> bool:
        """Whether the folder holds just these files."""
        lying = {path.name: path.read_bytes() for path in (self.flash / slot / "vending").iterdir()}
        return lying == dict(contents)

    def partition(self, label: str) -> bytes:
        return (self.flash / "partitions" / label).read_bytes()


def version_ran(run: VmScript) -> str | None:
    """What started in this boot."""
    started = run.said("started")
    return str(started[0]["version"]) if started else None


def judged(run: VmScript) -> Sequence[dict[str, Any]]:
    return run.said("judged")


def manifest_of(bundle: ReleaseBundle) -> Manifest:
    return Manifest.model_validate_json(bundle.signed.text)
