"""The JSON Schemas of all messages that the API speaks of."""

from typing import Any

from pydantic.json_schema import models_json_schema

from cloud.lists import PageQuery, rows_of
from cloud.operations import Raw
from cloud.reference.declared import Route
from shared.contract import Message
from shared.errors import Problem

REF = "#/components/schemas/"


class Schemas:
    """The JSON Schemas of all messages that routes speak of."""

    def __init__(self, routes: list[Route]) -> None:
        answers = {content for route in routes for content in route.operation.answers.values()}
        taken = {route.operation.body for route in routes}
        self._queries = {route.operation.query for route in routes}
        wanted: list[tuple[type[Message], Any]] = [(Problem, "serialization")]
        wanted += [(model, "serialization") for model in _models(answers)]
        wanted += [(model, "validation") for model in _models(taken | self._queries)]
        self._refs, definitions = models_json_schema(wanted, ref_template=REF + "{model}")
        self.all: dict[str, Any] = definitions["$defs"]
        for query in self._queries:
            if issubclass(query, PageQuery):
                self._loosen(query, next(m for m in _models(answers) if _is_page_of(m, query)))

    def shown(self) -> dict[str, Any]:
        """All but the queries, which are spread over parameters."""
        hidden = {self.ref(query, "validation")["$ref"].removeprefix(REF) for query in self._queries}
        return {name: schema for name, schema in sorted(self.all.items()) if name not in hidden}

    def ref(self, model: type[Message], mode: str) -> dict[str, Any]:
        """A reference to a model's schema."""
        return dict(self._refs[(model, mode)])  # type: ignore[index]

    def of(self, model: type[Message], mode: str) -> dict[str, Any]:
        """A model's schema itself."""
        found: dict[str, Any] = self.all[self.ref(model, mode)["$ref"].removeprefix(REF)]
        return found

    def _loosen(self, query: type[PageQuery], page: type[Message]) -> None:
        """Rows of a page have the fields that were asked for: none of them is always there."""
        rows = self.of(page, "serialization")["properties"][rows_of(page)]
        name = rows["items"]["$ref"].removeprefix(REF)
        if not name.endswith("InPage"):
            loose = {key: value for key, value in self.all[name].items() if key != "required"}
            self.all[f"{name}InPage"] = loose | {"title": f"{name}InPage"}
            rows["items"] = {"$ref": f"{REF}{name}InPage"}


def _models(contents: set[Any]) -> list[type[Message]]:
    rows = {content.row for content in contents if isinstance(content, Raw)}
    found = [content for content in contents | rows if isinstance(content, type)]
    return sorted(found, key=lambda model: model.__name__)


def _is_page_of(model: type[Message], query: type[PageQuery]) -> bool:
    if "next_cursor" not in model.model_fields:
        return False
    return query.row in getattr(model.model_fields[rows_of(model)].annotation, "__args__", ())
