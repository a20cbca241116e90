"""What lies on a board's flash: main.py and slots.mpy for good, the program in one of two folders.

`python -m firmware.workbench.layout FOLDER` lays it down in a folder, for who copies it to the board by hand.
"""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from firmware.workbench.releases import compile_app, version_of

MAIN = Path(__file__).parents[1] / "main.py"


def flash_files(app: Mapping[str, bytes], version: str) -> dict[str, bytes]:
    """The files of a new board by their paths: a program of this version (releases.py), as good as proven.

    The board finds by itself that it came by cable: there is no marker yet and no signed release. To lay it down anew,
    remove the folders a/ and b/ and slot.json first.
    """
    program = {f"a/vending/{name}": content for name, content in app.items()}
    kept = {"main.py": MAIN.read_bytes(), "slots.mpy": app["slots.mpy"]}
    return program | kept | {"a/proven": f"{version} {digest(app)}".encode()}


def digest(app: Mapping[str, bytes]) -> str:
    """By what a board knows the whole program again (slots.py)."""
    return hashlib.sha256(b"".join(f"{name} ".encode() + app[name] for name in sorted(app))).hexdigest()


def lay_down(flash: Path, app: Mapping[str, bytes], version: str) -> None:
    """Write them into a folder."""
    for name, content in flash_files(app, version).items():
        path = flash / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    lay_down(Path(sys.argv[1]), compile_app(), version_of())
