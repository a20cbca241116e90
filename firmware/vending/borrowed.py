"""Modules that are seldom needed. What is imported is in RAM, so they are imported for the occasion and forgotten."""

import sys

PACKAGE = __name__[: -len(".borrowed")]


def borrow(name: str):
    """The module `name` of this package."""
    __import__(PACKAGE + "." + name)
    return sys.modules[PACKAGE + "." + name]


def give_back(*names: str) -> None:
    """Forget these modules, if they were imported: with the last thing that refers to them they leave the heap."""
    package = sys.modules[PACKAGE]
    for name in names:
        if sys.modules.pop(PACKAGE + "." + name, None) is not None and hasattr(package, name):
            delattr(package, name)
