"""Bodies of requests are read in one place, where each is bounded in bytes and in seconds."""

import ast

import pytest

from tests.architecture.test_layout import ROOT, at, nodes, python_files

THE_PLACE = ROOT / "cloud" / "web.py"
UNBOUNDED = {"body", "data", "files", "form", "get_data", "get_json", "json", "values", "stream"}


@pytest.mark.parametrize("name", ["request"])
def test_only_one_file_of_the_cloud_reads_bodies(name: str) -> None:
    found = [
        at(path, node)
        for path in python_files("cloud")
        if path != THE_PLACE
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and node.attr in UNBOUNDED
        and isinstance(node.value, ast.Name)
        and node.value.id == name
    ]
    assert not found, "read it with cloud.web: body_chunks, read_message, read_form"
