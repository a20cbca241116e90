"""Files and functions stay small enough to be read in one go."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
FOLDERS = ("edge", "cloud", "shared", "firmware", "tests", "build_hooks")
SUFFIXES = {".py", ".ts", ".tsx", ".mjs", ".css", ".sql"}
GENERATED = {"node_modules", "static", "__pycache__"}


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and GENERATED.isdisjoint(path.parts):
                yield path


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a Python file with their lines, docstring and decorators left out."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None and len(node.body) > 1
            first = node.body[1] if documented else node.body[0]
            yield node.name, (node.end_lineno or 0) - first.lineno + 1


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    assert lengths, "no source was found at all"
    long = [f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in lengths.items() if lines > MAX_FILE_LINES]
    assert not long, f"files above {MAX_FILE_LINES} lines"


def test_functions_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {name} has {lines} lines"
        for path in sources()
        if path.suffix == ".py"
        for name, lines in functions(path)
        if lines > MAX_FUNCTION_LINES
    ]
    assert not long, f"functions above {MAX_FUNCTION_LINES} lines"
