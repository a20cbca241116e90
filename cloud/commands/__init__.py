"""What the cloud's program can be told to do, one module a topic. `cloud/__main__.py` lists the modules."""

import argparse
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from cloud.settings import Settings


def _nothing_more(_: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


@dataclass(frozen=True)
class Command:
    """`name` on the command line, and what it does. `run` may raise what `main` turns into one line and a status."""

    name: str
    help: str
    run: Callable[[Settings, argparse.Namespace], Coroutine[None, None, None]]
    add_arguments: Callable[[argparse.ArgumentParser], None] = _nothing_more
