"""The client, written into a folder and imported from there as a program of its users would."""

import asyncio
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloud.reference.client import package
from cloud.reference.document import document_of
from tests.fakes.postgres_cloud import cloud_app

NOWHERE = "postgresql://larder_app@127.0.0.1:9/larder"


def document() -> dict[str, Any]:
    """The document of this version, made without a database."""
    return document_of(cloud_app(NOWHERE, asyncio.Event()))


@contextmanager
def imported(folder: Path) -> Iterator[Any]:
    """`larder_client`, as long as the context lasts."""
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(package.PACKAGE)
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == package.PACKAGE]:
            del sys.modules[name]
