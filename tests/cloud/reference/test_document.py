"""The API's document is valid, whole, and true to itself."""

import asyncio
import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate
from quart import Quart

from cloud.operations import operation_of
from cloud.reference.document import document_of
from cloud.reference.problems import PROBLEMS
from cloud.sync.routes import BATCH, RECALLED, TELEMETRY
from cloud.sync.rules import read_batch, read_fact
from shared.errors import Code, Problem
from shared.sync import FACT, RecalledHeader, Telemetry
from tests.cloud.conftest import World
from tests.fakes.postgres_cloud import cloud_app

NO_API = {"dashboard", "reference"}
"""Pages."""


@pytest.fixture(scope="module")
def app() -> Quart:
    nowhere = "postgresql://larder_owner@127.0.0.1:9/larder"
    return cloud_app(nowhere, asyncio.Event())


@pytest.fixture(scope="module")
def document(app: Quart) -> dict[str, Any]:
    return document_of(app)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield f"{method} {path}", told


@pytest.mark.criterion("5.4")
def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)


@pytest.mark.criterion("5.4")
def test_every_route_of_the_api_is_in_it(app: Quart, document: dict[str, Any]) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in NO_API or rule.websocket:
            continue
        declared = operation_of(app.view_functions[rule.endpoint])
        assert declared is not None, rule.rule
        assert declared.summary, f"{rule.rule} has no summary: the document leaves it out"
        assert declared.answers, f"{rule.rule} says not what it answers"
        assert declared.description.strip(), f"{rule.rule} says not what it does"
    assert len(document["paths"]) >= 19


def test_each_operation_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = [told["operationId"] for _, told in operations(document)]
    assert len(ids) == len(set(ids))


def examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Each example with the schema it has to fit."""
    for name, told in operations(document):
        for parameter in told.get("parameters", []):
            if "example" in parameter:
                yield f"{name} {parameter['name']}", parameter["schema"], parameter["example"]
        bodies = [told.get("requestBody", {}), *told["responses"].values()]
        for body in bodies:
            for content in body.get("content", {}).values():
                if "example" in content:
                    yield name, content["schema"], content["example"]
                for code, example in content.get("examples", {}).items():
                    yield f"{name} {code}", content["schema"], example["value"]


@pytest.mark.criterion("5.4")
def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    seen = 0
    for name, schema, value in examples(document):
        whole = schema | {"components": document["components"]}
        errors = list(Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value))
        assert errors == [], (name, errors[0].message if errors else "", value)
        seen += 1
    assert seen > 200


@pytest.mark.criterion("5.4")
def test_whatever_travels_has_an_example(document: dict[str, Any]) -> None:
    """Bodies that are sent, answers of success, and parameters; only bytes have none."""
    for name, told in operations(document):
        answers = [answer for status, answer in told["responses"].items() if status < "4"]
        for body in (told.get("requestBody", {}), *answers):
            for media_type, content in body.get("content", {}).items():
                is_bytes = media_type == "application/octet-stream" or media_type.startswith("image/")
                assert is_bytes or content.get("example"), f"{name} {media_type}"
        for parameter in told.get("parameters", []):
            is_spelt_out = parameter["in"] == "header" or parameter["name"] in ("cursor", "fields")
            assert "example" in parameter or (is_spelt_out and parameter["description"]), f"{name} {parameter['name']}"


def test_examples_say_what_a_reader_can_use(document: dict[str, Any]) -> None:
    """None is merely the name of its field."""
    for name, schema, value in examples(document):
        fields = value.items() if isinstance(value, dict) else ()
        echoed = [field for field, text in fields if text == field.replace("_", " ").ljust(4, "0")]
        assert echoed == [], (name, schema)


def test_examples_of_batches_are_batches() -> None:
    batch = read_batch((BATCH.example or "").encode())
    assert [read_fact(line, batch.header.first_seq) for line in batch.lines] == [FACT.validate_json(batch.lines[0])]
    header, *lines = (RECALLED.example or "").splitlines()
    assert RecalledHeader.model_validate_json(header).count == len(lines)
    assert Telemetry.model_validate_json(TELEMETRY.example or "").samples == ()


@pytest.mark.criterion("5.2")
def test_every_operation_declares_its_problems_and_each_has_an_example_of_its_own(document: dict[str, Any]) -> None:
    everywhere = {Code.VALIDATION_FAILED, Code.TOO_MANY_REQUESTS, Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_PASSED}
    for name, told in operations(document):
        declared = set()
        for status, answer in told["responses"].items():
            if status >= "4":
                content = answer["content"]["application/problem+json"]
                codes = set(content["examples"])
                assert set(content["schema"]["allOf"][1]["properties"]["code"]["enum"]) == codes, name
                assert {PROBLEMS[Code(code)].status for code in codes} == {int(status)}, name
                assert all(f"`{code}`" in answer["description"] for code in codes), name
                declared |= codes
        assert everywhere <= declared, name


@pytest.mark.criterion("5.2")
def test_every_code_is_explained_and_comes_with_an_error_status() -> None:
    assert set(PROBLEMS) == set(Code)
    assert all(400 <= told.status < 600 and told.meaning and told.remedy for told in PROBLEMS.values())


@pytest.mark.criterion("5.2")
async def test_the_type_of_a_problem_is_a_page_that_explains_it(world: World) -> None:
    answer = await world.client.get("/v1/orders?nothing=1", headers=world.operator)
    told = Problem.model_validate_json(await answer.get_data())
    assert [error.path for error in told.errors] == ["nothing"]
    for code, explained in PROBLEMS.items():
        page = await world.client.get(told.type.replace("validation_failed", code))
        assert page.status_code == 200
        shown = html.unescape(re.sub("</?code>", "`", await page.get_data(as_text=True)))
        assert explained.meaning in shown, code
        assert explained.remedy in shown, code
    assert (await world.client.get("/docs/problems/no_such_code")).status_code == 404


async def test_the_document_is_served(world: World) -> None:
    answer = await world.client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert (await answer.get_json())["openapi"].startswith("3.1")
