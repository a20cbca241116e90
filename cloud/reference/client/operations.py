"""The operations of the document as methods of the client. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloud.reference.client.naming import argument_of, class_of, group_of, method_of
from cloud.reference.client.types import name_in, type_of, whole_row

Document = Mapping[str, Any]

_PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Argument:
    """An argument of a method, and what it is called on the wire."""

    name: str
    wire_name: str
    type: str
    is_needed: bool
    about: str


@dataclass(frozen=True)
class Method:
    """One operation."""

    name: str
    verb: str
    path: str
    summary: str
    about: str
    steps: tuple[Argument, ...]
    """Of the path."""
    query: tuple[Argument, ...]
    body: str | None
    """Its type."""
    media_type: str
    answer: str | None
    """The model that is answered; of a list, of its rows. None: nothing."""
    rows: str | None
    """The field of a page that holds its rows."""
    fields: tuple[str, ...]
    """Of a row: what may be asked for alone."""
    is_file: bool
    is_kept: bool
    is_idempotent: bool
    is_guarded: bool
    problems: tuple[str, ...]
    """The classes of those that it declares."""

    @property
    def python_path(self) -> str:
        """As a literal of Python."""
        path = self.path
        for step in self.steps:
            value = step.name if step.type == "UUID" else f"segment({step.name})"
            path = path.replace(f"{{{step.wire_name}}}", f"{{{value}}}")
        return f'f"{path}"' if self.steps else f'"{path}"'


@dataclass(frozen=True)
class Group:
    """An attribute of the client with its methods."""

    name: str
    class_name: str
    methods: tuple[Method, ...]


class NamedTwice(ValueError):
    """Two operations would have the same name in Python. The text says which."""


def groups_of(document: Document) -> list[Group]:
    """All that the client can do. Raises NamedTwice."""
    found: dict[str, dict[str, Method]] = {}
    for path, methods in document["paths"].items():
        for verb, told in methods.items():
            method = _method(document, path, verb, told)
            named = found.setdefault(group_of(path), {})
            if method.name in named:
                raise NamedTwice(f"{group_of(path)}.{method.name}: {told['operationId']}")
            named[method.name] = method
    return [
        Group(name, f"{class_of(name)}Operations", tuple(methods.values())) for name, methods in sorted(found.items())
    ]


def _method(document: Document, path: str, verb: str, told: Mapping[str, Any]) -> Method:
    parameters = told.get("parameters", [])
    headers = {parameter["name"] for parameter in parameters if parameter["in"] == "header"}
    media_type, body = _body(told)
    content = _answers(told)
    model = name_in(content["application/json"]["schema"]["$ref"]) if "application/json" in content else None
    rows, row = _rows(document["components"]["schemas"][model]) if model else (None, None)
    return Method(
        name=method_of(path, told["operationId"]),
        verb=verb.upper(),
        path=path,
        summary=told["summary"],
        about=told["description"],
        steps=tuple(_argument(one) for one in parameters if one["in"] == "path"),
        query=tuple(_argument(one) for one in parameters if one["in"] == "query" and one["name"] != "fields"),
        body=body,
        media_type=media_type,
        answer=whole_row(row) if row else model,
        rows=rows,
        fields=next((tuple(one["schema"]["items"]["enum"]) for one in parameters if one["name"] == "fields"), ()),
        is_file=bool(content) and model is None,
        is_kept="If-None-Match" in headers,
        is_idempotent="Idempotency-Key" in headers,
        is_guarded="If-Match" in headers,
        problems=tuple(class_of(code) for code in problems_of(told)),
    )


def problems_of(told: Mapping[str, Any]) -> dict[str, str]:
    """The codes that an operation declares, and what each means."""
    return {
        code: example["summary"]
        for answer in told["responses"].values()
        for code, example in answer.get("content", {}).get(_PROBLEM, {}).get("examples", {}).items()
    }


def _argument(told: Mapping[str, Any]) -> Argument:
    schema = told["schema"]
    kind = type_of(schema, many="Sequence[{}]").replace("Time", "datetime")
    return Argument(argument_of(told["name"]), told["name"], kind, told["required"], told.get("description", ""))


def _body(told: Mapping[str, Any]) -> tuple[str, str | None]:
    """Media type and type of Python."""
    for media_type, body in told.get("requestBody", {}).get("content", {}).items():
        if "$ref" in body["schema"]:
            return media_type, name_in(body["schema"]["$ref"])
        return media_type, "Mapping[str, str]" if media_type == "application/x-www-form-urlencoded" else "bytes"
    return "application/json", None


def _answers(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What comes with success; an operation has one kind of it."""
    found: Sequence[Mapping[str, Any]] = [
        answer["content"] for status, answer in told["responses"].items() if status < "3" and answer.get("content")
    ]
    return found[0] if found else {}


def _rows(page: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """If it is a page: the field with its rows, and their model."""
    names = list(page.get("properties", {}))
    if len(names) != 2 or names[1] != "next_cursor":
        return None, None
    return names[0], name_in(page["properties"][names[0]]["items"]["$ref"])
