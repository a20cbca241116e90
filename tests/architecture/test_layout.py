"""The rules of the design's layout that no linter knows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("edge", "cloud", "shared", "firmware", "tests", "build_hooks")
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
EDGE_FEATURE_FILES = {"__init__.py", "rules.py", "store.py", "service.py", "recall.py", "sweep.py", "conductor.py"}
EDGE_FOLDERS_WITH_LAYOUT_OF_THEIR_OWN = {"kiosk", "sync", "migrations"}
CLOUD_FEATURE_FILES = {"__init__.py", "rules.py", "models.py", "service.py", "routes.py"}
CLOUD_FOLDERS_WITH_LAYOUT_OF_THEIR_OWN = {
    "sync",
    "dashboard",
    "reference",
    "migrations",
    "auth",
    "commands",
    "encryption",
    "webhooks",
    "lowdb",
}


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if "node_modules" not in path.parts)


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(), str(path)))


def at(path: Path, node: ast.expr | ast.stmt | ast.excepthandler) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def test_names_say_the_thing() -> None:
    unnamed = [
        str(path.relative_to(ROOT))
        for folder in PACKAGES
        for path in (ROOT / folder).rglob("*")
        if path.stem in EMPTY_NAMES and "node_modules" not in path.parts
    ]
    assert not unnamed


@pytest.mark.parametrize(
    ("package", "own_layout", "expected"),
    [
        ("edge", EDGE_FOLDERS_WITH_LAYOUT_OF_THEIR_OWN, EDGE_FEATURE_FILES),
        ("cloud", CLOUD_FOLDERS_WITH_LAYOUT_OF_THEIR_OWN, CLOUD_FEATURE_FILES),
    ],
)
def test_a_feature_has_only_the_fixed_files(package: str, own_layout: set[str], expected: set[str]) -> None:
    stray = [
        str(path.relative_to(ROOT))
        for path in python_files(package)
        if len(path.relative_to(ROOT).parts) > 2
        and path.relative_to(ROOT).parts[1] not in own_layout
        and path.name not in expected
    ]
    assert not stray


def test_no_test_package_files() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py")), "tests/ repeats package names and must not be a package"


def test_tests_patch_nothing() -> None:
    patches = [
        at(path, node)
        for path in python_files("tests")
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("monkeypatch", "setattr"), ("mocker", "patch"), ("mock", "patch")}
    ]
    assert not patches, "the constructor lacks an argument"


def test_transactions_have_one_home() -> None:
    bare = [
        at(path, node)
        for path in python_files("cloud", "tests")
        if path != ROOT / "cloud/database.py"
        for node in nodes(path)
        if (isinstance(node, ast.Name) and node.id == "in_transaction")
        or (isinstance(node, ast.Attribute) and node.attr == "in_transaction")
    ]
    assert not bare, "use the unit of work of cloud/database.py: it shields from cancellation"


def test_no_exception_is_swallowed() -> None:
    swallowed = [
        at(path, node)
        for path in python_files("edge", "cloud", "shared", "firmware", "tests")
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
    ]
    assert not swallowed
