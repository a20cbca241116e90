"""The client as a package: whole, typed, and installable."""

import re
import subprocess
import sys
import textwrap
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from cloud.reference.client import package
from cloud.reference.client.naming import group_of, member_of, method_of
from cloud.reference.client.operations import groups_of
from cloud.reference.client.snippets import snippets_of
from tests.cloud.conftest import World

ROOT = Path(__file__).resolve().parents[4]
PROGRAM = """
from datetime import date, datetime
from typing import assert_type
from uuid import UUID
from larder_client import Client, models
from larder_client.models import *


def typed(client: Client) -> None:
    for order in client.orders.list(state=OrderState.SETTLED):
        assert_type(order, OrderRow)
        assert_type(order.lines[0].vends[0].outcome, VendOutcome | None)
        order.totl_minor  # type: ignore[attr-defined]
    for cut in client.orders.list(fields=["order_id", "state"]):
        assert_type(cut.state, OrderState | None)
    client.orders.list(fields=["no_field"])  # type: ignore[list-item]
    client.sites.edit(UUID(int=0), SiteEdit(nam="x"))  # type: ignore[call-arg]
    client.sites.show("7")  # type: ignore[arg-type]


"""


@pytest.mark.criterion("5.5")
def test_every_operation_of_the_document_has_a_method(document: dict[str, Any], larder: Any) -> None:
    asked = {
        (group_of(path), method_of(path, told["operationId"]))
        for path, methods in document["paths"].items()
        for told in methods.values()
    }
    operations = sum(len(methods) for methods in document["paths"].values())
    with larder.Client("http://127.0.0.1:9") as client:
        groups = {name: group for name, group in vars(client).items() if not name.startswith("_")}
        found = {(name, method) for name, group in groups.items() for method in dir(group) if method[0] != "_"}
    assert found == asked
    assert len(found) == operations > 50


def test_every_problem_of_the_document_has_a_class(document: dict[str, Any], larder: Any) -> None:
    told = {
        code
        for methods in document["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    assert set(larder.problems.BY_CODE) == told
    assert len(set(larder.problems.BY_CODE.values())) == len(told)


@pytest.mark.criterion("5.5")
def test_its_users_are_told_what_there_is_by_mypy(document: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    """Also each call that the reference shows, and the first steps of the README."""
    calls = (
        f"def call_{number}(client: Client, seen: SiteRow, body: bytes) -> None:\n{textwrap.indent(call, '    ')}\n"
        for number, call in enumerate(snippets_of(document).values())
    )
    (tmp_path / "program.py").write_text(PROGRAM + "\n".join(calls))
    steps = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(steps) == 3
    (tmp_path / "steps.py").write_text("\n".join(steps))
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            f"--cache-dir={ROOT}/.mypy_cache/client",
            "-p",
            package.PACKAGE,
            "-m",
            "program",
            "-m",
            "steps",
        ],
        cwd=folder,
        env={"MYPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_lies_in_the_folder_is_replaced_only_if_it_is_ours(document: dict[str, Any], tmp_path: Path) -> None:
    assert package.write(document, tmp_path / "new") == package.write(document, tmp_path / "new")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "README.md").write_text("Mine")
    with pytest.raises(FileExistsError, match="something else"):
        package.write(document, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "README.md").read_text() == "Mine"


def test_pip_can_install_the_archive(document: dict[str, Any], tmp_path: Path) -> None:
    packed = package.archive(document)
    assert packed == package.archive(document)
    with zipfile.ZipFile(BytesIO(packed)) as file:
        file.extractall(tmp_path)
    installed = subprocess.run(
        [
            "uv",
            "pip",
            "install",
            "--offline",
            "--no-deps",
            "--no-build-isolation",
            "--python",
            sys.executable,
            "--target",
            tmp_path / "there",
            tmp_path / package.DISTRIBUTION,
        ],
        env={"PATH": str(Path(sys.executable).parent), "UV_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert installed.returncode == 0, installed.stderr
    assert (tmp_path / "there" / package.PACKAGE / "py.typed").is_file()


async def test_a_running_cloud_hands_it_out(world: World, document: dict[str, Any]) -> None:
    answer = await world.client.get("/docs/larder-client.zip")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert await answer.get_data() == package.archive(document)


def test_two_operations_cannot_have_one_name(document: dict[str, Any]) -> None:
    told = document["paths"]["/v1/orders"]
    doubled = {"/v1/orders": told, "/v1/orders/{order_id}": {"get": told["get"]}}
    with pytest.raises(ValueError, match=r"orders\.list"):
        groups_of(document | {"paths": doubled})


def test_words_that_are_no_names_get_one() -> None:
    assert [member_of(word) for word in ("order.placed", "orders:read", "96")] == [
        "ORDER_PLACED",
        "ORDERS_READ",
        "OF_96",
    ]
