"""How each operation is called from Python, with the document's own examples. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from cloud.reference.client.operations import Document, Method, groups_of
from cloud.reference.client.types import Schema, name_in

_FORMS = {"uuid": "UUID({})", "date-time": "datetime.fromisoformat({})", "date": "date.fromisoformat({})"}


def snippets_of(document: Document) -> dict[tuple[str, str], str]:
    """Verb and path → the call. Names are those of `from larder_client.models import *`, `uuid` and `datetime`."""
    return {
        (method.verb, method.path): _snippet(document, group.name, method)
        for group in groups_of(document)
        for method in group.methods
    }


def _snippet(document: Document, group: str, method: Method) -> str:
    told = document["paths"][method.path][method.verb.lower()]
    examples = {one["name"]: (one["schema"], one.get("example")) for one in told.get("parameters", [])}
    arguments = [_written(document, *examples[step.wire_name]) for step in method.steps]
    if method.body:
        arguments.append(_body(document, method, told["requestBody"]["content"][method.media_type]))
    arguments += [
        f"{query.name}={_written(document, *examples[query.wire_name])}" for query in method.query if query.is_needed
    ]
    if method.is_guarded:
        arguments.append("if_match=seen.etag")
    inner = ", ".join(arguments)
    if len(inner) > 60 or "\n" in inner:
        inner = "\n" + "".join(f"    {_deeper(argument)},\n" for argument in arguments)
    call = f"client.{group}.{method.name}({inner})"
    if method.rows:
        return f"for row in {call}:\n    print(row)"
    return f'with {call} as file:\n    file.save("{group}")' if method.is_file else call


def _body(document: Document, method: Method, body: Mapping[str, Any]) -> str:
    """What is no model is written out if it is a form."""
    if method.body == "bytes":
        return "body"
    return _written(document, body["schema"], body["example"])


def _written(document: Document, schema: Schema, value: Any) -> str:
    """The value as it is written in Python where the schema is asked for."""
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    if value is None:
        return "None"
    if "$ref" in schema:
        name = name_in(schema["$ref"])
        if "enum" in schemas[name]:
            return f"{name}({json.dumps(value)})"
        if schemas[name].get("type") == "object":
            return _object(document, name, schemas[name], value)
        return repr(value)
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if options:
        return _written(document, options[0], value)
    if isinstance(value, list):
        return f"[{', '.join(_written(document, schema.get('items', {}), one) for one in value)}]"
    if isinstance(value, str):
        return _FORMS.get(schema.get("format", ""), "{}").format(json.dumps(value, ensure_ascii=False))
    return repr(value)


def _object(document: Document, name: str, schema: Schema, value: Mapping[str, Any]) -> str:
    fields = [f"{key}={_written(document, schema['properties'][key], inner)}" for key, inner in value.items()]
    line = ", ".join(fields)
    return (
        f"{name}({line})"
        if len(line) < 60
        else f"{name}(\n" + "".join(f"    {_deeper(one)},\n" for one in fields) + ")"
    )


def _deeper(text: str) -> str:
    return text.replace("\n", "\n    ")
