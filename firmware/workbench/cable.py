"""A board at the end of a USB cable, by the tools that everybody uses for it: esptool and mpremote."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ERASE_S, WRITE_S = 120, 300
SPEAK_S, COPY_S = 60, 300
START = "0x1000"
"""Where the ESP32 looks for its boot loader, with which MicroPython's images begin."""
PATIENT_DOG = "import machine; machine.WDT(timeout=600000)"
"""A device that ran until now has its watchdog on, which nothing turns off: it would bite while files are copied."""


class CableFailed(Exception):
    """The board was not reached, or did not do it; the text says what the tool said."""


Run = Callable[[Sequence[str], float], str]
"""Runs a command for at most so many seconds; its output. Raises CableFailed."""


def run(command: Sequence[str], seconds: float) -> str:
    """On this computer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603 - ours
    except subprocess.TimeoutExpired:
        raise CableFailed(f"{command[2]} took longer than {seconds:.0f} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise CableFailed(f"{command[2]}: {said[-1] if said else f'status {done.returncode}'}")
    return done.stdout


class Cable:
    """`port` as mpremote takes it, such as /dev/ttyUSB0. `patience` is run first of all: see PATIENT_DOG."""

    def __init__(self, port: str, runner: Run = run, patience: str = PATIENT_DOG) -> None:
        self._port = port
        self._run = runner
        self._patience = patience

    def write_micropython(self, image: Path) -> None:
        """Erase the board and put MicroPython on it. Raises CableFailed."""
        tool = [sys.executable, "-m", "esptool", "--chip", "esp32", "--port", self._port]
        self._run([*tool, "erase-flash"], ERASE_S)
        self._run([*tool, "--baud", "460800", "write-flash", START, str(image)], WRITE_S)

    def execute(self, code: str, seconds: float = SPEAK_S) -> str:
        """What the board prints. Raises CableFailed."""
        return self._run([*self._begin(), "exec", code], seconds)

    def copy(self, folder: Path) -> None:
        """All files below `folder`, to the same places on the board. Raises CableFailed."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        places = sorted({path.parent.relative_to(folder) for path in files})
        command = [*self._begin(), "exec", _make_folders([str(place) for place in places])]
        for path in files:
            if path.parent == folder:
                command += ["+", "fs", "cp", str(path), f":{path.name}"]
        for place in places:
            if place.parts:
                here = [str(path) for path in files if path.parent == folder / place]
                command += ["+", "fs", "cp", *here, f":{place.as_posix()}/"]
        self._run(command, COPY_S)

    def restart(self) -> None:
        """Let the board boot. Raises CableFailed."""
        self._run([*self._begin(), "reset"], SPEAK_S)

    def _begin(self) -> list[str]:
        return [sys.executable, "-m", "mpremote", "connect", self._port, "exec", self._patience, "+"]


def _make_folders(places: list[str]) -> str:
    lines = ["import os", "def make(place):", " try: os.mkdir(place)", " except OSError as e:"]
    lines += ["  if e.errno != 17: raise", f"for place in {json.dumps(_with_parents(places))}: make(place)"]
    return "\n".join(lines)


def _with_parents(places: list[str]) -> list[str]:
    found = {str(parent) for place in places for parent in (Path(place), *Path(place).parents) if parent.parts}
    return sorted(found, key=len)
