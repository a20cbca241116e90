"""The commands, as they are typed."""

import json
from pathlib import Path

import pytest

from cloud.clock import new_id
from tests.cloud.lowdb.conftest import Move
from tests.cloud.test_commands import refused, run
from tests.fakes import lowdb
from tests.fakes.lowdb import Prototype

pytestmark = pytest.mark.criterion("2.6")


def test_there_and_back(move: Move, database_url: str, tmp_path: Path) -> None:
    lowdb.write(
        move.root, "VM-001", lowdb.text("orders", Prototype().orders(5)), lowdb.text("inventory", lowdb.inventory())
    )
    where = {"database_url": database_url, "state_dir": str(tmp_path / "state")}
    tenant, report, back = str(move.tenant_id), tmp_path / "report.json", tmp_path / "back"
    done = run("import-lowdb", str(move.root), "--tenant", tenant, "--report", str(report), **where)
    assert (done.returncode, "equal every day" in done.stdout) == (0, True), done.stderr
    told = json.loads(report.read_text())
    assert (told["is_whole"], [file["new"] for file in told["files"]]) == (True, [5, 5])
    listed = tmp_path / "sha256"
    given = run(
        "export-lowdb", str(back), "--tenant", tenant, "--compare", str(move.root), "--manifest", str(listed), **where
    )
    assert (given.returncode, "5 equal, 0 missing, 0 more" in given.stdout) == (0, True), given.stderr
    assert len(listed.read_text().splitlines()) == 10


def test_what_cannot_be_is_one_line(move: Move, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text("colour = 1")
    tenant, where = str(move.tenant_id), {"database_url": database_url, "state_dir": str(tmp_path / "state")}
    refused(run("import-lowdb", str(move.root), "--tenant", str(new_id()), **where), 1, "not_found")
    mapped = ("--map", str(tmp_path / "map.toml"))
    refused(run("import-lowdb", str(move.root), "--tenant", tenant, *mapped, **where), 1, "map.toml, line 1: colour")
