"""What an interrupt or a timer calls makes no object: in the midst of a collection there is no room for one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware/vending"
INTERRUPTS = {
    "pulses.py": ("_on_pulse", "pulse"),
    "beam.py": ("_on_edge", "change", "_counts"),
    "motors.py": ("_on_timer", "tick"),
    "servo.py": ("tick", "stop"),
    "stepper.py": ("tick", "stop"),
    "lines.py": ("write", "ramp"),
    "shift.py": ("write", "_send"),
    "pca9685.py": ("write",),
    "panel.py": ("step",),
}
ALLOCATES: tuple[type[ast.AST], ...] = (
    ast.List,
    ast.Tuple,
    ast.Dict,
    ast.Set,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
    ast.GeneratorExp,
)
ALLOCATES += (ast.JoinedStr, ast.Lambda, ast.FunctionDef, ast.Div, ast.Starred, ast.Slice, ast.Await, ast.Yield)


def allocating(function: ast.FunctionDef) -> Iterator[str]:
    """What makes an object on MicroPython's heap: displays, closures, floats, slices, bound methods, exceptions."""
    called = {id(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
    for statement in function.body:
        for node in ast.walk(statement):
            if isinstance(node, ALLOCATES):
                yield f"{function.name}: {ast.unparse(node)}"
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                yield f"{function.name}: {node.value}"
            if isinstance(node, ast.Call) and (node.keywords or not _is_plain(node.func)):
                yield f"{function.name}: {ast.unparse(node)}"
            if isinstance(node, ast.Attribute) and id(node) not in called and node.attr in METHODS:
                yield f"{function.name}: {ast.unparse(node)} is bound"


METHODS = {name for names in INTERRUPTS.values() for name in names}
BUILT_INS = {"range", "len", "min", "max"}


def _is_plain(called: ast.expr) -> bool:
    return isinstance(called, ast.Attribute) or (isinstance(called, ast.Name) and called.id in BUILT_INS | METHODS)


@pytest.mark.parametrize("name", INTERRUPTS)
def test_interrupts_make_no_objects(name: str) -> None:
    tree = ast.parse((FIRMWARE / name).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in INTERRUPTS[name]]
    assert {function.name for function in functions} == set(INTERRUPTS[name])
    assert [found for function in functions for found in allocating(function)] == []


@pytest.mark.parametrize(
    "line", ["x = [1]", "x = (a, b)", "x = f'{a}'", "x = a / b", "x = a[1:]", "g = self.tick", "print(a)"]
)
def test_an_interrupt_that_makes_objects_is_seen(line: str) -> None:
    function = ast.parse(f"def f(self, a, b):\n    {line}").body[0]
    assert isinstance(function, ast.FunctionDef)
    assert list(allocating(function))
