"""An example of anything that has a JSON Schema: by the field's name, else by its type. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from cloud.reference.named_examples import NAMED, PATTERNS

Schema = Mapping[str, Any]

_FORMATS = {
    "uuid": "0190a3c2-5b1e-7d4f-9a60-2f1b7c9e0d13",
    "date-time": "2026-03-01T09:30:00Z",
    "date": "2026-03-01",
}
_NONE = object()
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def example_of(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """A value that fits `schema`; `components` are what its references name. `name`: as the table of names has it."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components, name)
    found = next((NAMED[key] for key in (name, _field(name)) if key in NAMED and _fits(NAMED[key], schema)), _NONE)
    if found is not _NONE:
        return found
    if "anyOf" in schema or "oneOf" in schema:
        return _of_options(schema.get("anyOf") or schema["oneOf"], components, name)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if schema.get("type") == "object":
        return _of_object(schema, components)
    if schema.get("type") == "array":
        return [example_of(schema.get("items", {}), components, name)]
    return _of_value(schema, _field(name))


def _field(name: str) -> str:
    return name.rpartition(".")[2]


def _of_object(schema: Schema, components: Mapping[str, Schema]) -> Any:
    model = schema.get("title", "").removesuffix("InPage")
    if model in NAMED:
        return NAMED[model]
    fields = schema.get("properties", {})
    return {key: example_of(inner, components, f"{model}.{key}") for key, inner in fields.items()}


def _of_options(options: list[Schema], components: Mapping[str, Schema], name: str) -> Any:
    return example_of(next((option for option in options if option != {"type": "null"}), {}), components, name)


def _of_value(schema: Schema, name: str) -> Any:
    match schema.get("type"):
        case "string" if "pattern" in schema and schema["pattern"] in PATTERNS:
            return PATTERNS[schema["pattern"]]
        case "string":
            return _FORMATS.get(schema.get("format", ""), (name.replace("_", " ") or "text").ljust(4, "0"))
        case "integer" | "number":
            return max(schema.get("minimum", 1), 1)
        case "boolean":
            return True
        case _:
            return None


def _fits(value: Any, schema: Schema) -> bool:
    """Whether it is of the schema's kind. What is inside is not looked at, and of lists of models nothing is said."""
    if "anyOf" in schema:
        return any(_fits(value, option) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    if not isinstance(value, _TYPES.get(schema.get("type", ""), ())) or "$ref" in schema.get("items", {}):
        return False
    return not isinstance(value, str) or re.search(schema.get("pattern", ""), value) is not None
