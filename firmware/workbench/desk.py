"""A board is made ready at a desk: MicroPython, program, trust, label and settings; then it tests itself."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from firmware.vending.label import Label, network_name, new_password, to_json
from firmware.workbench.cable import Cable, CableFailed
from firmware.workbench.layout import lay_down

SELFTEST_S = 180
READ_LABEL = """
import json, network, os
mac = network.WLAN(network.AP_IF).config("mac")
label = open("label.json").read() if "label.json" in os.listdir() else ""
print(json.dumps({"mac": "".join("%02x" % byte for byte in mac), "label": label}))
"""
FORGET_PROGRAM = """
import os
def forget(place):
 if os.stat(place)[0] & 0x4000:
  for name in os.listdir(place): forget(place + "/" + name)
  os.rmdir(place)
 else: os.remove(place)
for place in ("a", "b", "vending", "slot.json", "main.py", "main.mpy"):
 if place in os.listdir(): forget(place)
"""
SELFTEST = """
import sys
sys.path.insert(0, "a")
from vending.borrowed import borrow
from vending.flash import Flash
borrow("selftest").run(Flash("."), lambda wired: borrow("board").assemble(wired))
"""


class Check(NamedTuple):
    """One line of a board's self-test; `note` is what it measured, or what is wrong."""

    name: str
    ok: bool
    note: str


class Ready(NamedTuple):
    """A board that was made ready: its own network while it has no settings, and what its self-test says."""

    network: str
    password: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether it may be built in. A board without settings has shown nothing yet, and nothing wrong."""
        return all(check.ok for check in self.checks)


def make_ready(
    cable: Cable,
    app: Mapping[str, bytes],
    version: str,
    *,
    image: Path | None = None,
    trust: bytes | None = None,
    settings: bytes | None = None,
    led: int | None = None,
) -> Ready:
    """Everything that is given goes on the board, with this program (releases.py). Raises CableFailed.

    The board keeps its label, its credentials and its journal, unless MicroPython is written anew.
    """
    files = {"trust.json": trust, "settings.json": settings}
    if image is not None:
        cable.write_micropython(image)
    name, password = _label(cable)
    with tempfile.TemporaryDirectory() as folder:
        lay_down(Path(folder), app, version)
        (Path(folder) / "label.json").write_text(to_json(Label(password, led)))
        for file, content in files.items():
            if content is not None:
                (Path(folder) / file).write_bytes(content)
        cable.execute(FORGET_PROGRAM)
        cable.copy(Path(folder))
    checks = () if settings is None else tuple(_checks(cable.execute(SELFTEST, SELFTEST_S)))
    cable.restart()
    return Ready(name, password, checks)


def _label(cable: Cable) -> tuple[str, str]:
    """The board's name, and its password: the one it has, or a new one."""
    told = cable.execute(READ_LABEL)
    try:
        found = json.loads(told.strip().splitlines()[-1])
        password = json.loads(found["label"] or "{}").get("password") or new_password()
        return network_name(bytes.fromhex(found["mac"])), password
    except (ValueError, LookupError):
        raise CableFailed(f"this board does not run MicroPython for the ESP32: {told.strip()[-200:]!r}") from None


def _checks(told: str) -> Iterator[Check]:
    lines = [line for line in told.splitlines() if line.startswith('{"check"')]
    if not lines:
        raise CableFailed(f"the self-test said nothing: {told.strip()[-200:]!r}")
    for line in lines:
        found = json.loads(line)
        yield Check(found["check"], found["ok"], found["note"])
