"""The client, made once for all tests of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud.reference.client import package
from tests.fakes import client_package


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return client_package.document()


@pytest.fixture(scope="module")
def folder(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the package in it."""
    made = tmp_path_factory.mktemp("client") / "larder-client"
    package.write(document, made)
    return made


@pytest.fixture(scope="module")
def larder(folder: Path) -> Iterator[Any]:
    """The package, imported."""
    with client_package.imported(folder) as module:
        yield module
