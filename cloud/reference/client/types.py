"""JSON Schemas as Python types, and as the models of the client. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloud.reference.client.naming import argument_of, member_of

Schema = Mapping[str, Any]

_FORMATS = {"uuid": "UUID", "date-time": "Time", "date": "date"}
_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_ROWS = "InPage"
"""How the document calls a row that may lack fields."""


@dataclass(frozen=True)
class Field:
    """A field of a model."""

    name: str
    wire_name: str
    type: str
    default: str | None
    about: str


@dataclass(frozen=True)
class Model:
    """A class of the client: with fields, or with words to choose from."""

    name: str
    about: str
    base: str
    fields: tuple[Field, ...] = ()
    words: tuple[tuple[str, str], ...] = ()
    """Name and text."""


def name_in(reference: str) -> str:
    """`#/components/schemas/OrderRow` → `OrderRow`."""
    return reference.rpartition("/")[2]


def whole_row(name: str) -> str:
    """The model of a row that has all its fields."""
    return name.removesuffix(_ROWS)


def type_of(schema: Schema, *, many: str = "tuple[{}, ...]") -> str:
    """The type of what fits the schema; `many` is how a list of something is written."""
    if "$ref" in schema:
        return name_in(schema["$ref"])
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " | ".join(dict.fromkeys(type_of(option, many=many) for option in options))
    if "const" in schema or "enum" in schema:
        return f"Literal[{', '.join(json.dumps(word) for word in schema.get('enum', [schema.get('const')]))}]"
    if schema.get("type") == "array":
        return many.format(type_of(schema.get("items", {}), many=many))
    if schema.get("type") == "object":
        values = [*schema.get("patternProperties", {}).values()] or [schema.get("additionalProperties")]
        return f"dict[str, {type_of(values[0], many=many) if isinstance(values[0], Mapping) else 'JsonValue'}]"
    if "type" not in schema:
        return "JsonValue"
    return _FORMATS.get(schema.get("format", ""), _TYPES[schema["type"]])


def models_of(schemas: Mapping[str, Schema], answers: set[str], wishes: set[str]) -> list[Model]:
    """The models that the named schemas need, each behind those that it is made of."""
    said, asked = _reached(schemas, answers), _reached(schemas, wishes)
    found: dict[str, Model] = {}
    for name in sorted(said | asked):
        _add(found, schemas, name, said, asked)
    return list(found.values())


def _add(found: dict[str, Model], schemas: Mapping[str, Schema], name: str, said: set[str], asked: set[str]) -> None:
    if name in found or name == "JsonValue":
        return
    for inner in sorted(set(_named(schemas[name]))):
        _add(found, schemas, inner, said, asked)
    found[name] = _model(name, schemas[name], is_wish=name not in said, is_asked=name in asked)


def _model(name: str, schema: Schema, *, is_wish: bool, is_asked: bool) -> Model:
    """One that is also sent takes any sequence: whoever writes it may have a list."""
    about = schema.get("description", "") or f"See `{whole_row(name)}`."
    if "enum" in schema:
        words = tuple((member_of(word), word) for word in schema["enum"])
        return Model(name, about, "Word", words=words)
    required = schema.get("required", ())
    fields = tuple(
        _field(wire_name, inner, is_needed=wire_name in required, is_asked=is_asked)
        for wire_name, inner in schema.get("properties", {}).items()
    )
    return Model(name, about, "Wish" if is_wish else "Answer", fields)


def _field(wire_name: str, schema: Schema, *, is_needed: bool, is_asked: bool) -> Field:
    kind = type_of(schema, many="Sequence[{}]" if is_asked else "tuple[{}, ...]")
    default = None if is_needed else json.dumps(schema["const"]) if "const" in schema else "None"
    if default == "None" and "None" not in kind.split(" | "):
        kind += " | None"
    return Field(argument_of(wire_name), wire_name, kind, default, schema.get("description", ""))


def _reached(schemas: Mapping[str, Schema], names: set[str]) -> set[str]:
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _named(schemas[name])
    return seen


def _named(schema: object) -> Iterator[str]:
    """The names in all references inside."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield name_in(schema["$ref"])
        for inner in schema.values():
            yield from _named(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _named(inner)
